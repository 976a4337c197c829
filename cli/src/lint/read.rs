//! Files become documents, as `kubectl` cuts and reads them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde_json::{Map, Number, Value};

/// One document of a file.
#[derive(Debug)]
pub(super) struct Document {
    /// Name of the file; `-` is standard input.
    pub file: String,
    /// Its position in the file, from 1.
    pub number: usize,
    /// What it says, or why it cannot be read.
    pub content: Result<Value, String>,
}

/// Why a file cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(
        "{file} cannot be read: {source}; give files of YAML or JSON, a folder with such files, or - for standard input"
    )]
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A folder without a file to check.
    #[error("{0} has no file that ends with .yaml, .yml or .json; name the files")]
    Empty(String),
}

/// Reads files, folders of files, or standard input (`-`).
pub(super) fn documents(paths: &[PathBuf]) -> Result<Vec<Document>, ReadError> {
    let mut documents = Vec::new();
    for path in paths {
        let file = path.display().to_string();
        let unreadable = |source| ReadError::Unreadable {
            file: file.clone(),
            source,
        };
        if path.as_os_str() == "-" {
            let text = io::read_to_string(io::stdin()).map_err(unreadable)?;
            documents.extend(of_text("-", &text));
        } else if path.is_dir() {
            documents.extend(of_folder(path)?);
        } else {
            let text = fs::read_to_string(path).map_err(unreadable)?;
            documents.extend(of_text(&file, &text));
        }
    }
    Ok(documents)
}

fn of_folder(folder: &Path) -> Result<Vec<Document>, ReadError> {
    let unreadable = |source| ReadError::Unreadable {
        file: folder.display().to_string(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let manifest = path
            .extension()
            .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known));
        if manifest && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(ReadError::Empty(folder.display().to_string()));
    }
    paths.sort();
    documents(&paths)
}

/// Cuts a text into documents at lines that start with `---`; empty ones are left out but counted.
pub(super) fn of_text(file: &str, text: &str) -> Vec<Document> {
    let mut parts = vec![String::new()];
    let mut begun = false;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            // A line before the first document begins no second one.
            if begun || parts.len() > 1 {
                parts.push(String::new());
            }
            begun = true;
            continue;
        }
        begun |= !blank(line);
        if let Some(part) = parts.last_mut() {
            part.push_str(line);
        }
    }
    let documents = parts
        .into_iter()
        .enumerate()
        .filter(|(_, part)| !part.lines().all(blank));
    documents
        .flat_map(|(index, part)| {
            let document = |content| Document {
                file: file.to_owned(),
                number: index + 1,
                content,
            };
            match parse(&part) {
                Ok(value) => items(value).into_iter().map(|item| document(Ok(item))).collect(),
                Err(message) => vec![document(Err(message))],
            }
        })
        .collect()
}

fn blank(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn parse(text: &str) -> Result<Value, String> {
    let yaml: serde_norway::Value = serde_norway::from_str(text).map_err(|error| error.to_string())?;
    json(yaml)
}

/// The items of a `List`; any other object alone.
fn items(value: Value) -> Vec<Value> {
    let list = value["apiVersion"] == "v1" && value["kind"] == "List";
    match value {
        Value::Object(mut object) if list => match object.remove("items") {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        },
        value => vec![value],
    }
}

/// YAML as the JSON that `kubectl` sends: keys are text.
fn json(yaml: serde_norway::Value) -> Result<Value, String> {
    use serde_norway::Value as Yaml;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => number_of(&number)?,
        Yaml::Sequence(items) => Value::Array(items.into_iter().map(json).collect::<Result<_, _>>()?),
        Yaml::Mapping(mapping) => {
            let mut object = Map::new();
            for (key, value) in mapping {
                let key = match json(key)? {
                    Value::String(text) => text,
                    Value::Null => "null".into(),
                    other => other.to_string(),
                };
                object.insert(key, json(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => return Err(format!("the tag {} is not supported; remove it", tagged.tag)),
    })
}

fn number_of(number: &serde_norway::Number) -> Result<Value, String> {
    let integer = number
        .as_i64()
        .map(Number::from)
        .or_else(|| number.as_u64().map(Number::from));
    if let Some(integer) = integer {
        return Ok(Value::Number(integer));
    }
    let float = number.as_f64().unwrap_or(f64::NAN);
    Number::from_f64(float)
        .map(Value::Number)
        .ok_or_else(|| format!("{number} is not a number that JSON knows; write a finite one"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn contents(text: &str) -> Vec<(usize, Result<Value, String>)> {
        of_text("f", text)
            .into_iter()
            .map(|document| (document.number, document.content))
            .collect()
    }

    #[test]
    fn documents_are_cut_and_counted() {
        let text = "# first\n---\na: 1\n---\n# only a comment\n---\nb: 2\n";
        assert_eq!(
            contents(text),
            [(1, Ok(json!({"a": 1}))), (3, Ok(json!({"b": 2})))]
        );
        assert_eq!(contents("a: 1\n---\nb: 1\n").len(), 2);
        assert!(contents("\n---\n").is_empty());
    }

    #[test]
    fn a_broken_document_does_not_hide_the_next() {
        let found = contents("a: [\n---\nb: 1\n");
        assert!(found[0].1.is_err());
        assert_eq!(found[1], (2, Ok(json!({"b": 1}))));
    }

    #[test]
    fn a_field_written_twice_is_an_error() {
        let found = contents("a: 1\na: 2\n");
        assert!(
            found[0]
                .1
                .as_ref()
                .is_err_and(|message| message.contains("duplicate")),
            "{found:?}"
        );
    }

    #[test]
    fn a_list_is_its_items() {
        let found = contents("apiVersion: v1\nkind: List\nitems: [{a: 1}, {b: 2}]\n");
        assert_eq!(found, [(1, Ok(json!({"a": 1}))), (1, Ok(json!({"b": 2})))]);
    }
}
