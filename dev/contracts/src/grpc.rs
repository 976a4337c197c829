//! `docs/grpc.md`: services, methods, messages and enums with the comments of the protos.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use prost_reflect::{
    DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind, MessageDescriptor,
    MethodDescriptor, ServiceDescriptor, Value,
};

use crate::proto::{Comments, pool};

const HEAD: &str = "\
# gRPC reference

Written by `make contracts` from the protos in `schemas/proto`; changes here are lost. Who may call, and what each status
means: [workloads.md](workloads.md#callers). How clients spread their calls: [clients.md](clients.md). Every call that does not say
otherwise needs `authorization: Bearer <JWT>`. A field of a response may be added at any time; numbers and types never change.
";
const OURS: &str = "logistics/";
/// The annotation of a method with its HTTP route.
const HTTP: &str = "google.api.http";

/// The document.
pub fn document() -> Result<String> {
    let pool = pool()?;
    let mut files: Vec<FileDescriptor> = pool
        .files()
        .filter(|file| file.name().starts_with(OURS))
        .collect();
    // Services first, in the order of their names; what they share comes last.
    files.sort_by_key(|file| (file.services().len() == 0, file.name().to_owned()));
    let mut text = HEAD.to_owned();
    for file in &files {
        let comments = Comments::of(file);
        write!(
            text,
            "\n## {}\n\n`schemas/proto/{}`\n",
            file.package_name(),
            file.name()
        )?;
        for service in file.services() {
            write_service(&mut text, &pool, &comments, &service)?;
        }
        for message in file.messages() {
            write_message(&mut text, &comments, &message)?;
        }
        for one in file.enums() {
            write_enum(&mut text, &comments, &one)?;
        }
    }
    Ok(text)
}

fn write_service(
    text: &mut String,
    pool: &DescriptorPool,
    comments: &Comments,
    service: &ServiceDescriptor,
) -> Result<()> {
    write!(
        text,
        "\n### Service {}\n\n{}\n",
        service.name(),
        comments.at(service.path())
    )?;
    for method in service.methods() {
        let (request, response) = (message_link(&method.input()), message_link(&method.output()));
        write!(
            text,
            "\n#### {}\n\n{}\n\n| | |\n|---|---|\n| Request | {}{request} |\n| Response | {}{response} |\n",
            method.name(),
            comments.at(method.path()),
            stream(method.is_client_streaming()),
            stream(method.is_server_streaming()),
        )?;
        let route = route(pool, &method).with_context(|| format!("the route of {}", method.full_name()))?;
        writeln!(text, "| HTTP, where a gateway transcodes | `{route}` |")?;
        let repeatable = if has_no_side_effects(&method) {
            "yes: it changes nothing"
        } else if method.is_client_streaming() {
            "as a whole, with the same `idempotency_key` in each message"
        } else if method.input().get_field_by_name("idempotency_key").is_some() {
            "with the same `idempotency_key`"
        } else {
            "no"
        };
        writeln!(text, "| May be repeated | {repeatable} |")?;
    }
    Ok(())
}

const fn stream(streaming: bool) -> &'static str {
    if streaming { "stream of " } else { "" }
}

/// `GET /v1/…` of the method's annotation.
fn route(pool: &DescriptorPool, method: &MethodDescriptor) -> Result<String> {
    let extension = pool
        .get_extension_by_name(HTTP)
        .context("google.api.http is not imported")?;
    let options = method.options();
    let rule = options.get_extension(&extension);
    let rule = rule.as_message().context("google.api.http is no message")?;
    let verbs = ["get", "put", "post", "delete", "patch"];
    let found = verbs.into_iter().find(|verb| rule.has_field_by_name(verb));
    let verb = found.context("there is no annotation google.api.http")?;
    let path = rule.get_field_by_name(verb);
    let path = path.as_deref().and_then(Value::as_str).unwrap_or_default();
    Ok(format!("{} {path}", verb.to_uppercase()))
}

fn has_no_side_effects(method: &MethodDescriptor) -> bool {
    let options = method.options();
    let level = options.get_field_by_name("idempotency_level");
    level.is_some_and(|level| level.as_enum_number() == Some(1))
}

fn write_message(text: &mut String, comments: &Comments, message: &MessageDescriptor) -> Result<()> {
    write!(text, "\n### {}\n", message.name())?;
    let comment = comments.at(message.path());
    if !comment.is_empty() {
        write!(text, "\n{comment}\n")?;
    }
    if message.fields().len() == 0 {
        text.push_str("\nNo fields.\n");
        return Ok(());
    }
    text.push_str("\n| Field | Number | Type | Meaning |\n|---|---|---|---|\n");
    for field in message.fields() {
        writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            field.name(),
            field.number(),
            kind(&field),
            cell(comments.at(field.path()))
        )?;
    }
    Ok(())
}

fn write_enum(text: &mut String, comments: &Comments, one: &EnumDescriptor) -> Result<()> {
    write!(text, "\n### {}\n\n{}\n", one.name(), comments.at(one.path()))?;
    text.push_str("\n| Value | Number | Meaning |\n|---|---|---|\n");
    for value in one.values() {
        let meaning = cell(comments.at(value.path()));
        writeln!(text, "| `{}` | {} | {meaning} |", value.name(), value.number())?;
    }
    Ok(())
}

/// The type of a field, with a link where it is one of ours.
fn kind(field: &FieldDescriptor) -> String {
    let kind = match field.kind() {
        Kind::Message(message) => message_link(&message),
        Kind::Enum(one) => link(one.name(), one.full_name(), &one.parent_file()),
        scalar => format!("`{scalar:?}`").to_lowercase(),
    };
    if field.is_list() {
        format!("list of {kind}")
    } else {
        kind
    }
}

fn message_link(message: &MessageDescriptor) -> String {
    link(message.name(), message.full_name(), &message.parent_file())
}

fn link(name: &str, full_name: &str, file: &FileDescriptor) -> String {
    if file.name().starts_with(OURS) {
        format!("[{name}](#{})", name.to_lowercase())
    } else {
        format!("`{full_name}`")
    }
}

fn cell(comment: &str) -> String {
    comment.replace('|', "\\|")
}
