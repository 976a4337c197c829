//! The verdicts of the API server and of `lint` on the same platforms, wrong ones and right ones.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kubectl_logistics::lint::{Check, Finding, Linter, Severity};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::platforms;
use crate::site::Site;

/// A wrong platform: how it differs from the smallest one, and what has to be said about it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrong {
    name: String,
    change: Value,
    r#where: Where,
    field: String,
    #[serde(default)]
    value: String,
    remedy: Vec<String>,
}

/// Who says it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Where {
    Schema,
    Cel,
    Operator,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    name: String,
    change: Value,
}

fn read<T: DeserializeOwned>(wanted: impl Fn(&str) -> bool) -> Result<Vec<T>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/tests/verdicts");
    let mut all = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if wanted(
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default(),
        ) {
            let text = std::fs::read_to_string(&path)?;
            let cases: Vec<T> = serde_norway::from_str(&text).with_context(|| path.display().to_string())?;
            all.extend(cases);
        }
    }
    Ok(all)
}

fn platform(change: &Value) -> Value {
    let mut object = platforms::smallest("acme");
    platforms::merge(&mut object, change);
    object
}

/// The API server's answer to `kubectl apply`: nothing, or why it refuses.
async fn refusal(site: &Site, object: &Value) -> Result<Option<String>> {
    let path = "/apis/logistics-platform.io/v1alpha1/namespaces/NS/logisticsplatforms?fieldValidation=Strict&dryRun=All";
    match site.send("POST", path, object).await {
        Ok(_) => Ok(None),
        Err(error) => match error.downcast::<kube::Error>()? {
            kube::Error::Api(status) => Ok(Some(status.message)),
            error => Err(error.into()),
        },
    }
}

#[tokio::test]
async fn wrong_platforms_are_refused_alike_with_field_value_and_remedy() -> Result<()> {
    let site = Site::new("wrong").await?;
    let linter = Linter::new();
    let cases: Vec<Wrong> = read(|name| name != "accepted")?;
    ensure!(cases.len() >= 60, "{} wrong platforms were read", cases.len());
    let mut bad = String::new();
    for case in &cases {
        let object = platform(&case.change);
        let refused = refusal(&site, &object).await?;
        let findings = linter.platform(object);
        println!("{}\n    {}", case.name, refused.as_deref().unwrap_or("accepted"));
        let mut wrong = |text: String| writeln!(bad, "{}: {text}", case.name);
        match (&refused, case.r#where) {
            (None, Where::Operator) => {}
            (Some(told), Where::Schema | Where::Cel) => {
                for part in parts(case).filter(|part| !told.contains(part.as_str())) {
                    wrong(format!("{part:?} is not in the API server's {told}"))?;
                }
            }
            (refused, place) => wrong(format!(
                "the API server says {refused:?}, but {place:?} should refuse"
            ))?,
        }
        let errors: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .collect();
        let missing = |finding: &Finding| {
            let told = finding.to_string();
            parts(case)
                .filter(|part| !told.contains(part.as_str()))
                .collect::<Vec<_>>()
        };
        match errors.iter().min_by_key(|finding| missing(finding).len()) {
            Some(found) if found.field == case.field && missing(found).is_empty() => {
                println!("    {found}");
                if !same_place(found, case.r#where) {
                    wrong(format!("lint has it from {:?}", found.check))?;
                }
            }
            Some(found) => wrong(format!("{:?} is not in lint's {found}", missing(found)))?,
            None => wrong("lint says nothing".into())?,
        }
        if let Some(more) = errors.iter().find(|finding| finding.field != case.field) {
            wrong(format!("lint also says {more}"))?;
        }
    }
    ensure!(bad.is_empty(), "\n{bad}");
    println!("{} wrong platforms are told alike", cases.len());
    Ok(())
}

/// What both answers have to hold.
fn parts(case: &Wrong) -> impl Iterator<Item = String> {
    // Both show a text as JSON does, or as it is.
    let value = case.value.replace('"', "");
    let value = if value == case.value { value } else { String::new() };
    [case.field.clone(), value]
        .into_iter()
        .chain(case.remedy.clone())
        .filter(|part| !part.is_empty())
}

fn same_place(finding: &Finding, place: Where) -> bool {
    match place {
        Where::Schema => finding.check == Check::Schema,
        Where::Cel => finding.check == Check::Rule,
        Where::Operator => finding.check == Check::Operator,
    }
}

#[tokio::test]
async fn right_platforms_are_accepted_alike() -> Result<()> {
    let site = Site::new("right").await?;
    let linter = Linter::new();
    let mut cases: Vec<(String, Value)> = read::<Right>(|name| name == "accepted")?
        .into_iter()
        .map(|case| (case.name, platform(&case.change)))
        .collect();
    ensure!(cases.len() >= 15, "{} right platforms were read", cases.len());
    cases.push(("all fields".into(), platforms::full("full")));
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/samples");
    for entry in samples.read_dir()? {
        let path = entry?.path();
        let mut sample: Value = serde_norway::from_str(&std::fs::read_to_string(&path)?)?;
        if sample["kind"] == "LogisticsPlatform" {
            sample["metadata"]["namespace"] = site.namespace.clone().into();
            cases.push((path.display().to_string(), sample));
        }
    }
    let mut bad = String::new();
    for (name, object) in cases {
        if let Some(refused) = refusal(&site, &object).await? {
            writeln!(bad, "{name}: the API server says {refused}")?;
        }
        let findings = linter.platform(object);
        for finding in findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
        {
            writeln!(bad, "{name}: lint says {finding}")?;
        }
    }
    ensure!(bad.is_empty(), "\n{bad}");
    Ok(())
}

/// Every rule of the definition can be evaluated here: none is left to the API server alone.
#[test]
fn no_rule_is_beyond_lint() {
    for object in [platforms::smallest("acme"), platforms::full("acme")] {
        let findings = Linter::new().platform(object);
        let beyond: Vec<_> = findings
            .iter()
            .filter(|finding| finding.message.contains("cannot be evaluated"))
            .collect();
        assert!(beyond.is_empty(), "{beyond:?}");
    }
}
