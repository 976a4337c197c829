//! Keeps Debian's packages from starting their services while they are installed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What Debian's packages ask before they start a service.
pub(crate) const POLICY: &str = "/usr/sbin/policy-rc.d";
/// By this line a file that a killed run left is known.
const MARK: &str = "# by `dev prerequisites`";

/// While it lives, no package starts its service. A policy that somebody else has made stays in force instead.
#[derive(Debug)]
pub(crate) struct ServiceStarts {
    own: Option<PathBuf>,
}

impl ServiceStarts {
    /// Writes the policy, unless there is one.
    pub(crate) fn hold(policy: &Path) -> Result<Self> {
        match fs::read_to_string(policy) {
            Ok(text) if !text.contains(MARK) => return Ok(Self { own: None }),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot read {}", policy.display()));
            }
            _ => {}
        }
        // It says no only as long as this process lives, so that a killed run does no harm.
        let text = format!(
            "#!/bin/sh\n{MARK}\nif kill -0 {} 2>/dev/null; then exit 101; fi\nexit 0\n",
            std::process::id()
        );
        fs::write(policy, text)
            .and_then(|()| fs::set_permissions(policy, fs::Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", policy.display()))?;
        Ok(Self {
            own: Some(policy.to_path_buf()),
        })
    }
}

impl Drop for ServiceStarts {
    fn drop(&mut self) {
        if let Some(policy) = &self.own {
            // One that cannot be deleted allows everything once this process is gone.
            let _ = fs::remove_file(policy);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn services_stay_off_while_packages_are_installed() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let policy = folder.path().join("policy-rc.d");
        let held = ServiceStarts::hold(&policy).expect("held");
        let asked = Command::new(&policy)
            .args(["prometheus", "start"])
            .status()
            .expect("runs");
        assert_eq!(asked.code(), Some(101), "Debian's word for no");
        drop(held);
        assert!(!policy.exists());
    }

    #[test]
    fn what_a_killed_run_left_allows_everything_and_is_replaced() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let policy = folder.path().join("policy-rc.d");
        let mut ended = Command::new("true").spawn().expect("runs");
        ended.wait().expect("ends");
        let held = ServiceStarts::hold(&policy).expect("held");
        let text = fs::read_to_string(&policy).expect("policy");
        std::mem::forget(held);
        let stale = text.replace(&std::process::id().to_string(), &ended.id().to_string());
        fs::write(&policy, stale).expect("written");
        let asked = Command::new(&policy).status().expect("runs");
        assert_eq!(asked.code(), Some(0));
        drop(ServiceStarts::hold(&policy).expect("held again"));
        assert!(!policy.exists());
    }

    #[test]
    fn a_policy_of_somebody_else_stays() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let policy = folder.path().join("policy-rc.d");
        fs::write(&policy, "#!/bin/sh\nexit 104\n").expect("written");
        drop(ServiceStarts::hold(&policy).expect("held"));
        let text = fs::read_to_string(&policy).expect("still there");
        assert_eq!(text, "#!/bin/sh\nexit 104\n");
    }
}
