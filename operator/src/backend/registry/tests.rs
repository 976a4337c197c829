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
    assert_eq!(
        Registry::plan(&subjects, &Subjects::default()).changes.len(),
        2 * subjects.len()
    );
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
        refusal: None,
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

/// Of a release one of whose schemas is refused nothing is registered.
#[test]
fn a_schema_that_is_refused_holds_up_all_of_them() {
    let subjects = wanted(&fixture::valid());
    let refused = |mode: &str| SubjectState {
        exists: true,
        registered: None,
        compatibility: Some(mode.into()),
        refusal: Some("a field is missing".into()),
    };
    let mut seen = Subjects::default();
    seen.0.insert(subjects[1].name.clone(), refused("BACKWARD"));
    let plan = Registry::plan(&subjects, &seen);
    let set = "set compatibility BACKWARD of subject";
    assert!(
        plan.changes
            .iter()
            .all(|change| change.to_string().starts_with(set))
    );
    assert_eq!(plan.refused.len(), 1);
    let message = &plan.refused[0].message;
    for part in [&subjects[1].name, "a field is missing", "return to a release"] {
        assert!(message.contains(part), "{message}");
    }
    // Another mode may accept it: first it is set, then the subject is asked again.
    seen.0.insert(subjects[1].name.clone(), refused("FULL"));
    let plan = Registry::plan(&subjects, &seen);
    let changes: Vec<_> = plan.changes.iter().map(ToString::to_string).collect();
    let set = format!("set compatibility BACKWARD of subject {}", subjects[1].name);
    assert_eq!(changes, [set]);
    assert!(plan.refused.is_empty());
}
