//! How text is laid out on a terminal.

use std::io::IsTerminal as _;

/// Colours, where standard output is a terminal and the user has not forbidden them (`NO_COLOR`).
#[derive(Clone, Copy, Debug)]
pub struct Style {
    colour: bool,
}

impl Style {
    /// For standard output as it is.
    #[must_use]
    pub fn of_stdout() -> Self {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            colour: std::io::stdout().is_terminal() && !forbidden,
        }
    }

    /// Never with colours.
    #[must_use]
    pub const fn plain() -> Self {
        Self { colour: false }
    }

    /// A heading.
    #[must_use]
    pub fn heading(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Good news.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Bad news.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Lays out rows in columns: the first left, the others right.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells
            .chain([header[column].chars().count()])
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells = cells
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(column, (cell, width))| {
                if column == 0 {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let head = line(header.to_vec());
    rows.iter().fold(head, |text, row| {
        text + &line(row.iter().map(String::as_str).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["bcd".to_owned(), "200".to_owned()],
        ];
        assert_eq!(
            table(&["where", "n"], &rows),
            "  where    n\n  a        1\n  bcd    200\n"
        );
        assert_eq!(Style::plain().bad("x"), "x");
    }
}
