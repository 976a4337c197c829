//! The migration: a Job that brings the database to the release and makes the services' roles.

use serde_json::json;

use super::{Context, config_map, object, pod};
use crate::child::{Child, ChildKind};
use crate::names::{MIGRATE, REVISION};

/// Attempts before the Job is given up; it is made again after [`crate::release::RETRY_AFTER`].
const RETRIES: u32 = 3;

/// Seconds that all attempts may take together.
const DEADLINE_SECONDS: u32 = 900;

pub(super) struct Migration {
    pub(super) config_map: Option<Child>,
    pub(super) job: Option<Child>,
}

pub(super) fn migration(context: Context<'_>) -> Migration {
    if !context.release.migrate {
        return Migration {
            config_map: None,
            job: None,
        };
    }
    let config_map = config_map::of_migration(context);
    let hash = &context.release.migration_hash;
    let name = context.names.migrate_job(hash);
    let mut labels = context.names.component_labels(MIGRATE);
    labels.insert(REVISION.into(), hash.clone());
    let fields = json!({
        "spec": {
            "backoffLimit": RETRIES,
            "activeDeadlineSeconds": DEADLINE_SECONDS,
            "template": pod::migration(context, hash, &config_map.id.name),
        },
    });
    Migration {
        job: Some(object::child(context, ChildKind::Job, name, &labels, fields)),
        config_map: Some(config_map),
    }
}
