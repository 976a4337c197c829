//! Wrong platforms that the definition cannot refuse: the operator says what is wrong with them in a condition.

use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use kube::api::PostParams;
use logistics_operator::api::LogisticsPlatform;
use serde::Deserialize;
use serde_json::Value;

use crate::platforms;
use crate::support::{Operator, Site, eventually};

#[derive(Deserialize)]
struct Wrong {
    name: String,
    change: Value,
    r#where: String,
    field: String,
    #[serde(default)]
    value: String,
    remedy: Vec<String>,
}

fn cases() -> Result<Vec<Wrong>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts");
    let mut all = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.file_stem().is_some_and(|stem| stem != "accepted") {
            let cases: Vec<Wrong> = serde_norway::from_str(&std::fs::read_to_string(&path)?)
                .with_context(|| path.display().to_string())?;
            all.extend(cases.into_iter().filter(|case| case.r#where == "operator"));
        }
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_definition_cannot_refuse_is_told_in_a_condition() -> Result<()> {
    let site = Site::new("verdicts").await?;
    let operator = Operator::new(&site).await?;
    let cases = cases()?;
    ensure!(cases.len() >= 4, "{} cases were read", cases.len());
    let mut bad = String::new();
    for (index, case) in cases.iter().enumerate() {
        let name = format!("wrong-{index}");
        let mut object = platforms::smallest(&name);
        platforms::merge(&mut object, &case.change);
        let platform: LogisticsPlatform = serde_json::from_value(object)?;
        site.platforms().create(&PostParams::default(), &platform).await?;
        let message = eventually(&case.name, || async {
            let status = site.platforms().get(&name).await?.status.unwrap_or_default();
            let ready = status
                .conditions
                .into_iter()
                .find(|condition| condition.type_ == "Ready");
            Ok(ready
                .filter(|ready| ready.reason == "InvalidSpec")
                .map(|ready| ready.message))
        })
        .await?;
        for part in [&case.field, &case.value].into_iter().chain(&case.remedy) {
            if !message.contains(part.as_str()) {
                writeln!(bad, "{}: {part:?} is not in {message}", case.name)?;
            }
        }
    }
    ensure!(bad.is_empty(), "\n{bad}");
    operator.stop().await
}
