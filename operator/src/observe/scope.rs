//! Which namespaces are watched.

use std::fmt;

/// Why a list of namespaces cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("--watch-namespace: {0:?} is not a namespace; write names of a-z, 0-9 and '-', separated by commas")]
pub struct ScopeError(String);

/// Which namespaces are watched: some, with the rights in those only, or all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

impl Scope {
    /// Some namespaces; empty names are passed over, and no name means all namespaces.
    ///
    /// # Errors
    /// When one is not a namespace's name.
    pub fn new(namespaces: impl IntoIterator<Item = String>) -> Result<Self, ScopeError> {
        let mut names: Vec<String> = namespaces
            .into_iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        if let Some(wrong) = names.iter().find(|name| !is_namespace(name)) {
            return Err(ScopeError(wrong.clone()));
        }
        names.sort();
        names.dedup();
        Ok(Self(names))
    }

    /// One namespace.
    #[must_use]
    pub fn one(namespace: &str) -> Self {
        Self(vec![namespace.to_owned()])
    }

    /// What each kind's watches are limited to, one for each namespace; `None` is the one watch of all namespaces.
    #[must_use]
    pub fn areas(&self) -> Vec<Area> {
        if self.0.is_empty() {
            vec![None]
        } else {
            self.0.iter().cloned().map(Some).collect()
        }
    }
}

/// What a watch is limited to: a namespace, or nothing.
pub type Area = Option<String>;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            f.write_str("all")
        } else {
            f.write_str(&self.0.join(","))
        }
    }
}

fn is_namespace(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-') && name.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Result<Scope, ScopeError> {
        Scope::new(text.split(',').map(str::to_owned))
    }

    #[test]
    fn each_namespace_is_watched_once() {
        assert_eq!(scope("").unwrap().areas(), [None]);
        assert_eq!(scope(" ,").unwrap().to_string(), "all");
        let some = scope("b, a,b,").unwrap();
        assert_eq!(some.areas(), [Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(some.to_string(), "a,b");
    }

    #[test]
    fn what_is_not_a_namespace_is_refused() {
        let long = "a".repeat(64);
        for wrong in ["A", "a_b", "-a", "a-", "a/b", "*", long.as_str()] {
            assert_eq!(scope(&format!("ok,{wrong}")), Err(ScopeError(wrong.into())));
        }
    }
}
