//! The guide of the plugin, docs/cli.md.

const GUIDE: &str = include_str!("../../../docs/cli.md");

/// The block of the guide that starts with a line.
pub(crate) fn block(first: &str) -> String {
    let start = GUIDE
        .find(&format!("\n{first}\n"))
        .unwrap_or_else(|| panic!("docs/cli.md has no {first:?}"));
    let text = &GUIDE[start + 1..];
    let end = text.find("\n```").unwrap_or(text.len() - 1);
    text[..=end].to_owned()
}
