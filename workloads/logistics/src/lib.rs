//! The logistics binary: every service and the migration, one subcommand each.
