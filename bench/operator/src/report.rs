//! The figures: a table, or JSON.

use std::fmt;

use serde::Serialize;

use crate::measure::Spread;

/// All that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Report {
    figures: Vec<Figure>,
}

#[derive(Serialize)]
struct Figure {
    /// What was measured: the operator or a peer.
    subject: String,
    name: String,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    /// What the figure should not exceed.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<f64>,
}

impl Report {
    /// Adds a figure.
    pub(crate) fn add(&mut self, subject: &str, name: impl Into<String>, unit: &'static str, value: f64) {
        self.spread(subject, name, unit, Spread::one(value), None);
    }

    /// Adds a figure that has a target.
    pub(crate) fn aim(
        &mut self,
        subject: &str,
        name: impl Into<String>,
        unit: &'static str,
        value: f64,
        target: f64,
    ) {
        self.spread(subject, name, unit, Spread::one(value), Some(target));
    }

    /// Adds a figure that was measured several times. The target is for the highest, or the 99th percentile of many.
    pub(crate) fn spread(
        &mut self,
        subject: &str,
        name: impl Into<String>,
        unit: &'static str,
        spread: Spread,
        target: Option<f64>,
    ) {
        let figure = Figure {
            subject: subject.into(),
            name: name.into(),
            unit,
            spread,
            target,
        };
        eprintln!("  {}", figure.line());
        self.figures.push(figure);
    }
}

impl Figure {
    fn line(&self) -> String {
        let Self {
            subject,
            name,
            unit,
            spread,
            target,
        } = self;
        let target = target.map_or_else(String::new, |target| {
            let verdict = if spread.worst() <= target { "met" } else { "missed" };
            format!("target {target} {unit}: {verdict}")
        });
        let line = format!("{subject:<14} {name:<58} {spread:>28} {unit:<11} {target}");
        line.trim_end().to_owned()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for figure in &self.figures {
            writeln!(f, "{}", figure.line())?;
        }
        Ok(())
    }
}
