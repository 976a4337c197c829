use std::fs;
use std::path::Path;

use crate::pins::Tool;
use crate::recipe::{self, Site};
use crate::{Cache, FileLock, Step, ToolError, Toolbox};

/// Installs what is missing of `tools` and returns where everything is.
///
/// Safe to call from several processes at once: one builds, the others wait. A tool appears whole or not at all.
pub fn install(tools: &[Tool]) -> Result<Toolbox, ToolError> {
    install_into(&Cache::locate()?, tools)
}

fn install_into(cache: &Cache, tools: &[Tool]) -> Result<Toolbox, ToolError> {
    let toolbox = Toolbox::new(cache.clone())?;
    let missing = |tool: &&Tool| !toolbox.dir(**tool).is_dir();
    if tools.iter().any(|tool| missing(&tool)) {
        let _lock = FileLock::acquire(&cache.root().join("tools.lock"), || {
            eprintln!("• tools: another run is installing; waiting for it …");
        })?;
        for tool in tools.iter().filter(missing) {
            build(cache, &toolbox, *tool)?;
        }
        // Only now: a failed build keeps its downloads for the next try.
        remove(&cache.build())?;
    }
    Ok(toolbox)
}

fn build(cache: &Cache, toolbox: &Toolbox, tool: Tool) -> Result<(), ToolError> {
    let step = Step::start(
        &format!("tool {} {}", tool.name(), tool.version()?),
        &cache.logs(),
    )?;
    // The lock is held, so whatever is there was left by a run that was killed.
    let staging = cache.tools().join(".installing");
    remove(&staging)?;
    let site = Site {
        pins: staging.join("pins"),
        out: staging.join("out"),
        build: &cache.build(),
    };
    for dir in [&site.pins, &site.out] {
        fs::create_dir_all(dir).map_err(ToolError::at(dir))?;
    }
    for pin in tool.pins() {
        let name = pin.file.rsplit('/').next().unwrap_or(pin.file);
        let path = site.pins.join(name);
        fs::write(&path, pin.text).map_err(ToolError::at(&path))?;
    }
    recipe::run(tool, &site, &step)?;
    let target = toolbox.dir(tool);
    fs::rename(&site.out, &target).map_err(ToolError::at(&target))?;
    remove(&staging)?;
    step.done();
    Ok(())
}

fn remove(dir: &Path) -> Result<(), ToolError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(ToolError::at(dir)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_present_is_not_built_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let cache = Cache::at(folder.path()).expect("cache");
        let present = Toolbox::new(cache.clone())
            .expect("toolbox")
            .dir(Tool::Kubernetes);
        fs::create_dir_all(&present).expect("present tool");
        let tools = install_into(&cache, &[Tool::Kubernetes]).expect("nothing to do");
        assert_eq!(tools.kube_apiserver(), present.join("bin/kube-apiserver"));
        assert!(!folder.path().join("tools.lock").exists(), "no lock is needed");
    }
}
