//! The operator's dashboard: its queries, as Grafana would send them.

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::read;

/// The dashboard that the chart ships.
pub const DASHBOARD: &str = "charts/logistics-operator/files/dashboard.json";

/// One query of a panel.
#[derive(Clone, Debug)]
pub struct Query {
    /// The panel's title.
    pub panel: String,
    /// The expression, with Grafana's variables.
    pub expression: String,
}

impl Query {
    /// The expression with a value for each variable, as Grafana sends it when everything is selected.
    #[must_use]
    pub fn with_everything_selected(&self) -> String {
        self.expression
            .replace("$__rate_interval", "30s")
            .replace("$namespace", ".+")
            .replace("$job", ".+")
    }
}

/// The dashboard.
pub fn dashboard() -> Result<Value> {
    serde_json::from_str(&read(DASHBOARD)?).context(DASHBOARD)
}

/// All queries of a dashboard, of panels in rows too.
#[must_use]
pub fn queries(dashboard: &Value) -> Vec<Query> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push(Query {
                panel: panel["title"].as_str().unwrap_or_default().to_owned(),
                expression: target["expr"].as_str().unwrap_or_default().to_owned(),
            });
        }
        found.extend(queries(panel));
    }
    found
}
