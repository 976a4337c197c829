//! promtool: the operator's alert rules, and tests of when each fires.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use dev_tools::Toolbox;
use serde::Deserialize;

use crate::command::output;
use crate::{checkout, read};

/// The rules that the chart ships.
pub const RULES: &str = "charts/logistics-operator/files/alerts.yaml";
/// promtool's tests of them.
pub const TESTS: &str = "dev/judges/alerts_test.yaml";

/// One alert.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// Its name.
    pub alert: String,
    /// When it fires.
    pub expr: String,
    /// For how long that must hold.
    #[serde(rename = "for")]
    pub lasting: String,
    /// Labels such as the severity.
    pub labels: BTreeMap<String, String>,
    /// What a reader is told.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    #[serde(rename = "name")]
    _name: String,
    rules: Vec<Alert>,
}

/// All alerts of the chart.
pub fn alerts() -> Result<Vec<Alert>> {
    let file: File = serde_norway::from_str(&read(RULES)?).context(RULES)?;
    Ok(file.groups.into_iter().flat_map(|group| group.rules).collect())
}

/// `promtool check rules`, every hint an error.
pub fn check(tools: &Toolbox, file: &Path) -> Result<()> {
    let mut command = Command::new(tools.promtool()?);
    command
        .args(["check", "rules", "--lint=all", "--lint-fatal"])
        .arg(file);
    output(&mut command).map(drop)
}

/// `promtool test rules`.
pub fn test(tools: &Toolbox) -> Result<()> {
    let mut command = Command::new(tools.promtool()?);
    command.args(["test", "rules"]).arg(checkout().join(TESTS));
    output(&mut command).map(drop)
}

#[derive(Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    alert_rule_test: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

/// The alerts that are shown to fire, and those that are shown to stay silent.
pub fn tested() -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let tests: Tests = serde_norway::from_str(&read(TESTS)?).context(TESTS)?;
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for expectation in tests.tests.into_iter().flat_map(|test| test.alert_rule_test) {
        let shown = if expectation.exp_alerts.is_empty() {
            &mut silent
        } else {
            &mut firing
        };
        shown.insert(expectation.alertname);
    }
    Ok((firing, silent))
}
