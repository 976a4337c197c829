//! The tree as text, with colours on a terminal.

use std::io::IsTerminal as _;

use super::tree::{Node, State};

/// Whether to colour: only on a terminal, and not where `NO_COLOR` is set.
#[must_use]
pub fn colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stdout().is_terminal() && !refused && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// The tree as lines.
#[must_use]
pub fn text(node: &Node, colours: bool) -> String {
    let mut lines = String::new();
    write(node, "", "", colours, &mut lines);
    lines
}

fn write(node: &Node, first: &str, rest: &str, colours: bool, lines: &mut String) {
    let (mark, colour) = match node.state {
        State::Ok => ("✓", "32"),
        State::Waiting => ("…", "33"),
        State::Wrong => ("✗", "31"),
        State::Unknown => ("?", "35"),
        State::Info => ("·", "2"),
    };
    let paint = |text: &str| {
        if colours && !text.is_empty() {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    };
    let mut line = format!("{first}{} {}", paint(mark), node.kind);
    for part in [node.name.clone(), paint(&node.reason)] {
        if !part.is_empty() {
            line.push(' ');
            line.push_str(&part);
        }
    }
    if !node.message.is_empty() {
        let colon = if node.name.is_empty() && node.reason.is_empty() {
            " "
        } else {
            ": "
        };
        line.push_str(colon);
        line.push_str(&node.message.replace('\n', " "));
    }
    lines.push_str(&line);
    lines.push('\n');
    if let Some(next) = &node.next {
        let bar = if node.children.is_empty() { "  " } else { "│ " };
        lines.extend([rest, bar, "→ ", next, "\n"]);
    }
    for (index, child) in node.children.iter().enumerate() {
        let (branch, stem) = if index + 1 == node.children.len() {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        write(
            child,
            &format!("{rest}{branch}"),
            &format!("{rest}{stem}"),
            colours,
            lines,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_branches_reasons_and_next_steps() {
        let pod = Node::new("Pod", "p", State::Wrong)
            .reason("CrashLoopBackOff")
            .message("ended")
            .next("read its logs");
        let deployment = Node::new("Deployment", "d", State::Wrong)
            .message("1 of 2 ready")
            .with([pod]);
        let root = Node::new("LogisticsPlatform", "n/acme", State::Wrong)
            .reason("Deploying")
            .with([Node::new("Topics", "", State::Ok).message("5"), deployment]);
        let expected = "\
✗ LogisticsPlatform n/acme Deploying
├─ ✓ Topics 5
└─ ✗ Deployment d: 1 of 2 ready
   └─ ✗ Pod p CrashLoopBackOff: ended
        → read its logs
";
        assert_eq!(text(&root, false), expected);
        let coloured = text(&root, true);
        assert!(
            coloured.contains("\x1b[31m✗\x1b[0m") && coloured.contains("\x1b[31mCrashLoopBackOff\x1b[0m")
        );
    }
}
