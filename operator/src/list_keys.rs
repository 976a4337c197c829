//! By which fields the items of Kubernetes' lists are told apart.

/// The lists whose items have keys; items of other lists stand in order.
const KEYS: [(&str, &[&str]); 9] = [
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("env", &["name"]),
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("imagePullSecrets", &["name"]),
    ("ownerReferences", &["uid"]),
    // A Service's ports, then a container's: an item has one or the other.
    ("ports", &["port", "containerPort", "protocol"]),
    ("conditions", &["type"]),
];

/// The keys of a list's items, by the name of the list's field.
#[must_use]
pub fn of(list: &str) -> Option<&'static [&'static str]> {
    KEYS.iter().find(|(name, _)| *name == list).map(|(_, keys)| *keys)
}
