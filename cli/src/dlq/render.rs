//! Parked records as lines.

use std::fmt::Write as _;

use logistics_schemas::dead_letters::{Content, DeadLetter, Settled};

/// Widest message in a list, in characters.
const WIDEST: usize = 100;

pub(super) fn list(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "nothing is parked\n".into();
    }
    let rows = letters.iter().map(|letter| {
        [
            letter.id.clone(),
            letter.shipment_id.clone().unwrap_or_else(|| "-".into()),
            letter.seq.map_or_else(|| "-".into(), |seq| seq.to_string()),
            letter.waiting.to_string(),
            letter.class.clone().unwrap_or_else(|| "waits".into()),
            shortened(letter.message.as_deref().unwrap_or_default()),
        ]
    });
    let head = ["RECORD", "SHIPMENT", "SEQ", "WAITING", "CLASS", "MESSAGE"].map(String::from);
    table(std::iter::once(head).chain(rows).collect())
}

fn table<const N: usize>(rows: Vec<[String; N]>) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: Vec<_> = cells.map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn content(content: &Content) -> String {
    let letter = &content.letter;
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:10} {value}");
    };
    line("record", &letter.id);
    line("shipment", letter.shipment_id.as_deref().unwrap_or("-"));
    line(
        "position",
        &letter.seq.map_or_else(|| "-".into(), |seq| seq.to_string()),
    );
    line("parked at", &letter.parked_at);
    line("waiting", &letter.waiting.to_string());
    line(
        "class",
        letter
            .class
            .as_deref()
            .unwrap_or("it waits for an event before it"),
    );
    line("message", letter.message.as_deref().unwrap_or("-"));
    line("key", content.key.as_deref().unwrap_or("-"));
    line("value", content.value.as_deref().unwrap_or("-"));
    for (name, value) in &content.headers {
        line("header", &format!("{name}: {value}"));
    }
    text
}

pub(super) fn settled(settled: &Settled) -> String {
    let Settled { id, applied, problem } = settled;
    match problem {
        None => format!("{id}: done, {applied} events were applied\n"),
        Some(problem) => format!("{id}: parked still, {applied} events were applied: {problem}\n"),
    }
}

fn shortened(message: &str) -> String {
    let line = message.replace('\n', " ");
    if line.chars().count() <= WIDEST {
        return line;
    }
    let start: String = line.chars().take(WIDEST - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(class: Option<&str>) -> DeadLetter {
        DeadLetter {
            id: "shipment.status_changed/3/1041".into(),
            shipment_id: Some("0198c5a4-7d2e-7c3b-9f10-000000000001".into()),
            seq: Some(3),
            class: class.map(Into::into),
            message: class.map(|_| "the value is cut off".into()),
            parked_at: "2026-11-25T06:00:00.000Z".into(),
            waiting: 4,
        }
    }

    #[test]
    fn a_list_is_a_table() {
        let text = list(&[letter(Some("schema_mismatch")), letter(None)]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "RECORD                          SHIPMENT                              SEQ  WAITING  CLASS            MESSAGE",
                "shipment.status_changed/3/1041  0198c5a4-7d2e-7c3b-9f10-000000000001  3    4        schema_mismatch  the value is cut off",
                "shipment.status_changed/3/1041  0198c5a4-7d2e-7c3b-9f10-000000000001  3    4        waits",
            ]
        );
        assert_eq!(list(&[]), "nothing is parked\n");
    }

    #[test]
    fn what_is_parked_still_is_said_with_its_reason() {
        let mut one = Settled {
            id: "a/0/1".into(),
            applied: 5,
            problem: None,
        };
        assert_eq!(settled(&one), "a/0/1: done, 5 events were applied\n");
        one.problem = Some("event 3: not yet".into());
        assert!(settled(&one).contains("parked still") && settled(&one).contains("not yet"));
    }
}
