//! What the log level leaves out, and what it does not.

use std::sync::{Arc, Mutex};

use opentelemetry_sdk::trace::InMemorySpanExporter;

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The names of the spans and the messages of the lines that a request leaves at a level.
fn traces_and_lines(level: LogLevel) -> (Vec<String>, Vec<String>) {
    let process = ProcessIdentity {
        component: "shipment",
        namespace: "logistics".into(),
        platform: "acme".into(),
        instance: "pod".into(),
        version: "0.0.0",
        revision: "abc".into(),
    };
    let (exporter, lines) = (InMemorySpanExporter::default(), Lines::default());
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let writer = lines.clone();
    let subscriber = subscriber(&process, level, &provider, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || {
        tracing::info_span!("request").in_scope(|| {
            tracing::warn!("slow");
            tracing::info!("done");
        });
    });
    let spans = exporter
        .get_finished_spans()
        .unwrap()
        .into_iter()
        .map(|span| span.name.into_owned())
        .collect();
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let message = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
        line["message"].as_str().unwrap().to_owned()
    };
    (spans, text.lines().map(message).collect())
}

#[test]
fn the_level_chooses_lines_and_leaves_traces_whole() {
    let request = vec!["request".to_owned()];
    for (level, lines) in [
        (LogLevel::Error, &[][..]),
        (LogLevel::Warn, &["slow"]),
        (LogLevel::Info, &["slow", "done"]),
    ] {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        assert_eq!(traces_and_lines(level), (request.clone(), lines), "{level:?}");
    }
}
