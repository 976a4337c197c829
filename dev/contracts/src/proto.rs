//! The protos with their comments.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use prost_reflect::{DescriptorPool, FileDescriptor};

/// The files that define services; what they import comes along.
const SERVICES: [&str; 3] = ["shipment", "tracking", "analytics"];

/// All protos of the checkout.
pub(crate) fn pool() -> Result<DescriptorPool> {
    let mut compiler = protox::Compiler::new([crate::checkout().join("schemas/proto")])?;
    compiler.include_imports(true).include_source_info(true);
    for name in SERVICES {
        let file = format!("logistics/{name}/v1/{name}_service.proto");
        compiler.open_file(&file).with_context(|| file.clone())?;
    }
    // Through bytes, so that the annotations are kept as extensions.
    let bytes = compiler.encode_file_descriptor_set();
    Ok(DescriptorPool::decode(bytes.as_slice())?)
}

/// The comments of one file by the path of what they belong to.
#[derive(Debug)]
pub(crate) struct Comments(HashMap<Vec<i32>, String>);

impl Comments {
    pub(crate) fn of(file: &FileDescriptor) -> Self {
        let info = file.file_descriptor_proto().source_code_info.as_ref();
        let locations = info.into_iter().flat_map(|info| &info.location);
        let comments = locations.filter_map(|location| {
            let lines = location.leading_comments().lines().map(str::trim);
            let text = lines.collect::<Vec<_>>().join(" ");
            let text = text.trim().to_owned();
            (!text.is_empty()).then(|| (location.path.clone(), text))
        });
        Self(comments.collect())
    }

    /// The comment before what is at `path`, in one line; empty when there is none.
    pub(crate) fn at(&self, path: &[i32]) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }
}
