#!/usr/bin/env bash
# Builds the services for release, once more with each mistake that the faults have to find, and injects the faults.
set -euo pipefail
cd "$(dirname "$0")/.."

dev/prerequisites.sh
cargo run --quiet --package dev-cluster -- tools cluster
target=${CARGO_TARGET_DIR:-target}
programs=$target/faults
mkdir -p "$programs"

# A release refuses the mistakes: the broken builds are not optimised.
broken=()
for mistake in skip-last-seq offset-early claim-rows; do
    echo "• building the services: $mistake …" >&2
    cargo build --quiet --package logistics --features "broken-$mistake"
    install "$target/debug/logistics" "$programs/$mistake"
    broken+=(--broken "$mistake=$programs/$mistake")
done
echo "• building the services …" >&2
# So that no broken program is left where others look for the right one.
cargo build --quiet --package logistics
cargo build --quiet --release --package logistics
read -ra arguments <<<"${FAULTS_ARGS:-}"
exec cargo run --quiet --package dev-faults -- --logistics "$target/release/logistics" "${broken[@]}" "${arguments[@]}"
