//! Names on the wire.

/// A name that nothing of its sort has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}; known are {known}")]
pub struct UnknownName {
    what: &'static str,
    value: String,
    known: String,
}

/// Finds the value with this name, or says which names there are.
pub(crate) fn by_name<T: Copy>(
    what: &'static str,
    all: &[T],
    name_of: fn(T) -> &'static str,
    value: &str,
) -> Result<T, UnknownName> {
    all.iter()
        .copied()
        .find(|one| name_of(*one) == value)
        .ok_or_else(|| UnknownName {
            what,
            value: value.chars().take(40).collect(),
            known: all.iter().map(|one| name_of(*one)).collect::<Vec<_>>().join(", "),
        })
}
