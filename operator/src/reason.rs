//! Reasons of conditions and Events. Each has an entry in `docs/conditions.md`; a test compares.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// Why a condition holds or an Event was sent, in CamelCase.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[doc = $text])+ $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The reason as it stands in a condition.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    // What goes well.
    /// All workloads of the release take calls.
    Ready,
    /// The release that the spec asks for takes calls.
    Settled,
    /// Nothing is wrong.
    AsExpected,
    /// All topics are as wanted.
    TopicsReady,
    /// All schemas are registered.
    SubjectsReady,
    /// The database is at the release's schema.
    Migrated,
    /// All pods of all workloads are available.
    Available,

    // What is under way.
    /// A new release is being brought up.
    Releasing,
    /// A backend is being read for the first time.
    Reading,
    /// A change of a backend is about to be made.
    Applying,
    /// Something else has to be there first.
    Waiting,
    /// The migration's Job runs.
    Migrating,
    /// New pods are starting.
    Deploying,
    /// Calls move to the new revision.
    Switching,
    /// The platform is being deleted with what it has outside.
    Deleting,
    /// The `PodMonitor` is there.
    Monitored,
    /// The autoscalers choose the number of pods.
    Scaling,

    // What the user has to decide.
    /// The spec says that nothing is to be changed.
    Suspended,
    /// Somebody else keeps changing fields that are the operator's.
    FieldFight,
    /// The spec is wrong.
    InvalidSpec,
    /// A Secret, a ConfigMap or a key in one is missing.
    ReferenceMissing,
    /// The difference is one that the operator does not remove.
    NotSupported,
    /// A certificate authority is not usable.
    InvalidAuthority,
    /// An object of that name exists and belongs to somebody else.
    NameTaken,
    /// A field that cannot be changed differs.
    ImmutableField,
    /// The registry refuses the release's schema.
    IncompatibleSchema,

    /// A topic belongs to an older platform.
    TopicConflict,
    /// The database belongs to an older platform.
    DatabaseConflict,
    /// The cluster lacks a kind that the spec asks for.
    ApiMissing,

    // What failed and is tried again.
    /// An autoscaler has no metrics to scale by.
    ScalingInactive,
    /// A backend does not answer.
    Unreachable,
    /// A backend does not accept the credentials.
    AuthenticationFailed,
    /// A change of a backend took too long.
    Timeout,
    /// A backend's answer cannot be understood.
    UnexpectedAnswer,
    /// A backend refused a request.
    Refused,
    /// A topic could not be changed.
    TopicFailed,
    /// The migration's Job gave up.
    MigrationFailed,
    /// The pods of a Deployment do not become available.
    ProgressDeadlineExceeded,
    /// The API server refused to make an object.
    CreateFailed,
    /// The API server refused to change an object.
    UpdateFailed,
    /// The API server refused to remove an object.
    DeleteFailed,

    // Events only.
    /// Objects were made.
    Created,
    /// Objects were brought to a new state.
    Updated,
    /// Objects were brought back to what they should be.
    Repaired,
    /// Objects were removed.
    Deleted,
    /// A deleted platform left topics or subjects behind.
    LeftBehind,
    /// Topics were changed.
    TopicsChanged,
    /// Subjects were changed.
    SchemasChanged,
}

impl Reason {
    /// The reason of a condition that was written earlier; `None` when this operator does not know it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Reason;

    /// Whoever meets a reason finds what it means and what to do.
    #[test]
    fn every_reason_is_in_the_documentation_and_no_other() {
        let documented: BTreeSet<&str> = include_str!("../../docs/conditions.md")
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
            .collect();
        let known: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(documented, known);
    }

    #[test]
    fn a_reason_is_read_as_it_is_written() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("SomethingElse"), None);
    }
}
