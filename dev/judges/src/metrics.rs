//! The operator's metrics as they are exported, and those that an expression names.

use std::collections::BTreeSet;

/// What all names of the operator's metrics begin with.
pub const PREFIX: &str = "logistics_operator_";

/// The names of the series in an exposition, as Prometheus stores them.
#[must_use]
pub fn series(exposition: &str) -> BTreeSet<String> {
    let lines = exposition.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split(['{', ' ']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The names of metrics by which the documentation calls them: without the suffixes of a histogram's series.
#[must_use]
pub fn documented(exposition: &str) -> BTreeSet<String> {
    let histogram = |name: &str| exposition.contains(&format!("# TYPE {name} histogram"));
    series(exposition)
        .into_iter()
        .map(|name| {
            let suffixes = ["_bucket", "_sum", "_count"].into_iter();
            let base = suffixes
                .filter_map(|suffix| name.strip_suffix(suffix))
                .find(|b| histogram(b));
            base.map(str::to_owned).unwrap_or(name)
        })
        .collect()
}

/// The names of the operator's metrics in a text.
#[must_use]
pub fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
        .filter(|word| word.starts_with(PREFIX))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_expositions_and_expressions() {
        let text = "# TYPE logistics_operator_d histogram\nlogistics_operator_d_sum 1\n\
                    logistics_operator_d_bucket{le=\"1\"} 2\nlogistics_operator_e_total{a=\"b c\"} 2\n# EOF\n";
        let names = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(series(text)),
            "logistics_operator_d_bucket logistics_operator_d_sum logistics_operator_e_total"
        );
        assert_eq!(
            names(documented(text)),
            "logistics_operator_d logistics_operator_e_total"
        );
        let expression = "sum(rate(logistics_operator_e_total{result=\"x\"}[5m])) / up";
        assert_eq!(names(named(expression)), "logistics_operator_e_total");
    }
}
