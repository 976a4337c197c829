use super::*;

fn platform() -> Platform {
    ("n".into(), "p".into())
}

fn config_map(key: &str) -> Reference {
    Reference::config_map("n", "ca", key)
}

fn secret() -> Reference {
    Reference::secret("n", "db")
}

fn versions(name: &str, version: u64) -> Versions {
    [("n".to_owned(), [(name.to_owned(), version)].into())].into()
}

fn data(key: &str, value: &str) -> BTreeMap<String, String> {
    [
        (key.to_owned(), value.to_owned()),
        ("other".to_owned(), "x".to_owned()),
    ]
    .into()
}

fn wakes(effects: &Effects) -> bool {
    effects.wake.contains(&platform())
}

#[test]
fn a_secret_is_there_or_not_and_never_read() {
    let mut known = Known::default();
    assert!(known.want(&platform(), &[secret()]).is_empty());
    let object = secret().object();
    assert_eq!(known.state(&object), State::Unknown);
    assert!(wakes(&known.listed(RefKind::Secret, &None, Versions::new())));
    assert_eq!(known.state(&object), State::Absent);
    let effects = known.changed(&object, Some(5));
    assert!(wakes(&effects) && effects.read.is_empty());
    assert_eq!(known.state(&object), State::Present(Arc::default()));
    assert!(
        !wakes(&known.changed(&object, Some(6))),
        "its content is nobody's affair"
    );
    assert!(wakes(&known.changed(&object, None)));
    assert_eq!(known.state(&object), State::Absent);
}

/// By its metadata it is followed; by its values only where the operator itself has to say who it is.
#[test]
fn of_a_secret_with_a_user_of_the_operator_the_named_keys_are_read() {
    let mut known = Known::default();
    let user = Reference::credential("n", "db", "password");
    let object = user.object();
    known.want(&platform(), std::slice::from_ref(&user));
    let effects = known.listed(RefKind::Secret, &None, versions("db", 5));
    assert_eq!(effects.read, std::slice::from_ref(&object));
    assert!(!wakes(&effects), "it is woken when the content is known");
    assert_eq!(known.state(&object), State::Unknown);
    assert!(wakes(
        &known.read(&object, Some((5, data("password", "open-sesame"))))
    ));
    let State::Present(values) = known.state(&object) else {
        panic!("not there")
    };
    assert_eq!(
        *values,
        BTreeMap::from([("password".to_owned(), "open-sesame".to_owned())])
    );
    let shown = format!("{:?}", known.state(&object));
    assert!(
        shown.contains("password") && !shown.contains("open-sesame"),
        "{shown}"
    );
    assert_eq!(
        known.changed(&object, Some(6)).read,
        std::slice::from_ref(&object)
    );
    assert!(wakes(
        &known.read(&object, Some((6, data("password", "rotated"))))
    ));

    known.forget(&platform());
    assert!(known.named.is_empty());
}

#[test]
fn of_a_config_map_the_named_keys_are_read_once_and_after_each_change() {
    let mut known = Known::default();
    assert!(
        known.want(&platform(), &[config_map("ca.crt")]).is_empty(),
        "nothing is listed yet"
    );
    let object = config_map("ca.crt").object();
    let effects = known.listed(RefKind::ConfigMap, &None, versions("ca", 5));
    assert!(!wakes(&effects), "it is woken when the content is known");
    assert_eq!(effects.read, std::slice::from_ref(&object));
    assert_eq!(known.state(&object), State::Unknown);
    assert!(
        known.want(&platform(), &[config_map("ca.crt")]).is_empty(),
        "it is being read"
    );

    assert!(wakes(&known.read(&object, Some((5, data("ca.crt", "one"))))));
    let State::Present(values) = known.state(&object) else {
        panic!("not there")
    };
    assert_eq!(*values, BTreeMap::from([("ca.crt".to_owned(), "one".to_owned())]));
    assert!(
        known.want(&platform(), &[config_map("ca.crt")]).is_empty(),
        "it was read"
    );

    assert_eq!(
        known.changed(&object, Some(6)).read,
        std::slice::from_ref(&object)
    );
    assert!(
        matches!(known.state(&object), State::Present(_)),
        "the former content until then"
    );
    assert!(
        !wakes(&known.read(&object, Some((6, data("ca.crt", "one"))))),
        "another key changed"
    );
    assert!(wakes(&known.changed(&object, None)));
    assert_eq!(known.state(&object), State::Absent);
}

#[test]
fn another_key_is_read_too() {
    let mut known = Known::default();
    known.listed(RefKind::ConfigMap, &None, versions("ca", 5));
    let object = config_map("a").object();
    assert_eq!(
        known.want(&platform(), &[config_map("a")]),
        std::slice::from_ref(&object)
    );
    known.read(&object, Some((5, data("a", "1"))));
    assert_eq!(
        known.want(&platform(), &[config_map("a"), config_map("b")]),
        std::slice::from_ref(&object)
    );
    assert_eq!(known.state(&object), State::Unknown);
    assert!(wakes(&known.read(&object, Some((5, data("a", "1"))))));
    assert!(matches!(known.state(&object), State::Present(_)));
}

#[test]
fn a_change_during_a_read_is_read_again() {
    let mut known = Known::default();
    known.listed(RefKind::ConfigMap, &None, versions("ca", 5));
    let object = config_map("a").object();
    known.want(&platform(), &[config_map("a")]);
    assert!(known.changed(&object, Some(7)).read.is_empty());
    let effects = known.read(&object, Some((5, data("a", "1"))));
    assert_eq!(effects.read, std::slice::from_ref(&object));
    assert!(known.read(&object, Some((7, data("a", "2")))).read.is_empty());
}

#[test]
fn what_nobody_refers_to_is_forgotten() {
    let mut known = Known::default();
    known.listed(RefKind::ConfigMap, &None, versions("ca", 5));
    let object = config_map("a").object();
    known.want(&platform(), &[config_map("a")]);
    known.read(&object, Some((5, data("a", "1"))));
    known.want(&platform(), &[secret()]);
    assert!(!known.goes_on(&object));
    known.forget(&platform());
    assert!(known.named.is_empty() && known.by_platform.is_empty());
    assert!(!wakes(&known.changed(&object, None)));
}

/// The pause between two tries is the reader's: a second one would not know how long the API server asks to wait.
#[test]
fn a_platform_that_is_made_anew_begins_no_second_read() {
    let mut known = Known::default();
    known.listed(RefKind::ConfigMap, &None, versions("ca", 5));
    let object = config_map("a").object();
    assert_eq!(known.want(&platform(), &[config_map("a")]).len(), 1);
    known.forget(&platform());
    assert!(known.want(&platform(), &[config_map("a")]).is_empty());
    assert!(known.changed(&object, Some(6)).read.is_empty());
    assert!(known.goes_on(&object));
    assert!(wakes(&known.read(&object, Some((6, data("a", "1"))))));
    // One that ended because nobody refers to the object is followed by another.
    known.forget(&platform());
    assert!(!known.goes_on(&object));
    assert_eq!(known.want(&platform(), &[config_map("a")]).len(), 1);
}

#[test]
fn a_new_list_tells_what_is_gone() {
    let mut known = Known::default();
    known.listed(RefKind::Secret, &None, versions("db", 5));
    known.want(&platform(), &[secret()]);
    assert!(!wakes(&known.listed(RefKind::Secret, &None, versions("db", 9))));
    assert!(wakes(&known.listed(RefKind::Secret, &None, Versions::new())));
}

#[test]
fn a_list_of_one_namespace_says_nothing_about_another() {
    let mut known = Known::default();
    known.want(&platform(), &[secret()]);
    let other = Some("m".to_owned());
    assert!(!wakes(&known.listed(RefKind::Secret, &other, Versions::new())));
    let object = secret().object();
    assert_eq!(known.state(&object), State::Unknown);
    known.listed(RefKind::Secret, &Some("n".into()), versions("db", 5));
    known.listed(RefKind::Secret, &other, Versions::new());
    assert_eq!(known.state(&object), State::Present(Arc::default()));
}
