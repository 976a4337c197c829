#!/usr/bin/env bash
# Formatting, lints, shell scripts, and the licences, sources and known flaws of the crates.
set -euo pipefail
cd "$(dirname "$0")/.."

dev() { cargo run --quiet --package dev-cluster -- "$@"; }

dev/prerequisites.sh
cargo fmt --all --check
cargo clippy --workspace --all-targets --quiet -- --deny warnings
# On its own, for the licences of what it compares.
cargo fmt --manifest-path bench/avro/Cargo.toml --check
cargo clippy --manifest-path bench/avro/Cargo.toml --target-dir target --all-targets --quiet -- --deny warnings
git ls-files -z '*.sh' '.ci/run' | xargs -0 shellcheck
deny=$(dev path cargo-deny)
"$deny" --log-level error check bans licenses sources
if "$deny" --log-level error fetch db 2>/dev/null; then
    "$deny" --log-level error check advisories
else
    echo "the database of advisories cannot be reached from here: known flaws of crates were not looked up"
fi
echo "✓ lint"
