use super::{Registry, SubjectState, Subjects, wanted};
use crate::backend::Backend;
use crate::fixture;

fn changes(state: SubjectState) -> Vec<String> {
    let subjects = wanted(&fixture::valid());
    let mut seen = fixture::subjects(&fixture::valid());
    seen.0.insert(subjects[0].name.clone(), state);
    Registry::plan(&subjects, &seen)
        .changes
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_is_registered_is_left_alone() {
    let subjects = wanted(&fixture::valid());
    assert!(
        Registry::plan(&subjects, &fixture::subjects(&fixture::valid()))
            .changes
            .is_empty()
    );
    assert_eq!(Registry::plan(&subjects, &Subjects::default()).changes.len(), 6);
}

#[test]
fn a_new_subject_is_registered_before_it_is_configured() {
    let register = "register the schema of subject shipment.created-value";
    let configure = "set compatibility BACKWARD of subject shipment.created-value";
    assert_eq!(changes(SubjectState::default()), [register, configure]);
}

/// The mode decides whether the schema is accepted.
#[test]
fn an_existing_subject_is_configured_before_the_schema_is_registered() {
    let register = "register the schema of subject shipment.created-value";
    let configure = "set compatibility BACKWARD of subject shipment.created-value";
    let state = SubjectState {
        exists: true,
        registered: None,
        compatibility: Some("FULL".into()),
    };
    assert_eq!(changes(state.clone()), [configure, register]);
    assert_eq!(
        changes(SubjectState {
            registered: Some((1, 1)),
            ..state
        }),
        [configure]
    );
}
