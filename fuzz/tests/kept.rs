//! Feeds every target what is kept for it: no engine is needed, so `make test` does it.

use anyhow::Result;
use logistics_fuzz::{TARGETS, Target, kept};

fn replay(target: &Target) -> Result<usize> {
    let inputs = [kept::corpus(target), kept::findings(target)];
    let mut fed = 0;
    for folder in inputs {
        for file in kept::files(&folder)? {
            eprintln!("{}", file.display());
            target.run(&std::fs::read(&file)?);
            fed += 1;
        }
    }
    for seed in target.seeds() {
        target.run(&seed);
    }
    Ok(fed)
}

#[test]
fn what_is_kept_breaks_no_promise() -> Result<()> {
    for target in TARGETS {
        let fed = replay(&target)?;
        assert!(
            fed > 0,
            "corpus/{} is empty: `make fuzz FUZZ_ARGS=--keep` fills it",
            target.name
        );
    }
    Ok(())
}

#[test]
fn every_folder_is_of_a_target() -> Result<()> {
    for name in ["corpus", "findings"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for file in kept::files(&folder)? {
            let target = file.file_name().and_then(|name| Target::of_name(name.to_str()?));
            assert!(target.is_some(), "{} belongs to no target", file.display());
        }
    }
    Ok(())
}
