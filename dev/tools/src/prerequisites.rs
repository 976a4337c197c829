//! What the machine itself must bring: programs, headers and libraries from Debian's packages, and the toolchains.

use std::env;
use std::path::{Path, PathBuf};

use crate::ToolError;

/// One thing the machine must have.
#[derive(Debug, Clone, Copy)]
pub struct Prerequisite {
    /// A program's name, or the absolute path of a file (a header, a static library, a plugin).
    pub provides: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
}

const fn need(provides: &'static str, package: &'static str, purpose: &'static str) -> Prerequisite {
    Prerequisite {
        provides,
        package,
        purpose,
    }
}

/// Everything that Debian packages bring, in the order it is checked.
pub const DEBIAN: &[Prerequisite] = &[
    need("cc", "gcc", "to link Rust programs and build the pause image"),
    need("/usr/include/stdio.h", "libc6-dev", "to compile anything in C"),
    need("c++", "g++", "to build the Kafka client library"),
    need("make", "make", "to build the Kafka client library"),
    need("pkg-config", "pkg-config", "to find OpenSSL"),
    need(
        "/usr/include/openssl/ssl.h",
        "libssl-dev",
        "TLS of the Kafka client library",
    ),
    need(
        "/usr/include/zlib.h",
        "zlib1g-dev",
        "compression of the Kafka client library",
    ),
    need("git", "git", "to list the scripts that are linted"),
    need("mvn", "maven", "to fetch Kafka and the schema registry"),
    need("python3", "python3", "to fetch the Java runtime and the flights"),
    need("pip3", "python3-pip", "to fetch the Java runtime and the flights"),
    need("node", "nodejs", "to run the parser of AsyncAPI"),
    need("npm", "npm", "to fetch the parser of AsyncAPI"),
    need("etcd", "etcd-server", "the cluster's store"),
    need("containerd", "containerd", "the node's container runtime"),
    need("runc", "runc", "the node's container runtime"),
    need(
        "/usr/lib/cni/bridge",
        "containernetworking-plugins",
        "the pods' network",
    ),
    need("iptables", "iptables", "the cluster's Services"),
    need("conntrack", "conntrack", "the cluster's Services"),
    need("ip", "iproute2", "the cluster's network namespace"),
    need("sysctl", "procps", "the cluster's network namespace"),
    need(
        "nsenter",
        "util-linux",
        "to run the cluster in its network namespace",
    ),
    need("buildah", "buildah", "to build images"),
    need("skopeo", "skopeo", "to push images to a registry"),
    need(
        "postgres",
        "postgresql",
        "the database, in tests and in the cluster",
    ),
    need(
        "redis-server",
        "redis-server",
        "the cache, in tests and in the cluster",
    ),
    need("redis-cli", "redis-tools", "to look into the cache in tests"),
    need("promtool", "prometheus", "to check the operator's alert rules"),
    need("prometheus", "prometheus", "to run the dashboard's queries"),
    need("openssl", "openssl", "to look at certificates"),
    need("shellcheck", "shellcheck", "to lint shell scripts"),
    need(
        "/etc/ssl/certs/ca-certificates.crt",
        "ca-certificates",
        "the certificates of public authorities",
    ),
];

/// A toolchain that Debian's packages are too old for.
#[derive(Debug, Clone, Copy)]
pub struct Toolchain {
    /// The program's name.
    pub program: &'static str,
    /// Where to get it.
    pub remedy: &'static str,
}

/// Toolchains, which are never installed automatically.
pub const TOOLCHAINS: &[Toolchain] = &[
    Toolchain {
        program: "cargo",
        remedy: "install Rust 1.95 or later with rustup (https://rustup.rs)",
    },
    Toolchain {
        program: "go",
        remedy: "install Go 1.26 or later (https://go.dev/doc/install)",
    },
];

/// What of [`DEBIAN`] is missing here.
#[must_use]
pub fn missing() -> Vec<Prerequisite> {
    DEBIAN
        .iter()
        .filter(|need| locate(need.provides).is_none())
        .copied()
        .collect()
}

/// The path of a program or file from [`DEBIAN`].
pub fn find(provides: &str) -> Result<PathBuf, ToolError> {
    locate(provides).ok_or_else(|| {
        let package = DEBIAN
            .iter()
            .find(|need| need.provides == provides)
            .map_or(provides, |need| need.package);
        ToolError::Missing {
            program: provides.to_owned(),
            remedy: format!("apt-get install {package}"),
        }
    })
}

/// Whether a program is on the search path (or where Debian puts programs for root or for a server).
#[must_use]
pub fn locate(provides: &str) -> Option<PathBuf> {
    if provides.starts_with('/') {
        return Some(PathBuf::from(provides)).filter(|path| path.exists());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // PostgreSQL's own folders first: what the search path has may be a link or a wrapper without its neighbours.
    postgres_folders()
        .into_iter()
        .chain(env::split_paths(&path))
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(provides))
        .find(|file| file.is_file())
}

/// Debian keeps the server programs of each major version of PostgreSQL apart; the newest comes first.
fn postgres_folders() -> Vec<PathBuf> {
    let Ok(entries) = Path::new("/usr/lib/postgresql").read_dir() else {
        return Vec::new();
    };
    let major = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    versions.sort_by_key(|path| std::cmp::Reverse(major(path)));
    versions.into_iter().map(|path| path.join("bin")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_comes_with_its_install_command() {
        let error = find("no-such-program-here").expect_err("is not there");
        assert!(
            error.to_string().contains("apt-get install no-such-program-here"),
            "{error}"
        );
    }

    #[test]
    fn a_program_and_a_file_are_found() {
        assert!(locate("sh").is_some());
        assert!(locate("/etc/passwd").is_some());
    }
}
