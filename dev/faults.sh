#!/usr/bin/env bash
# Builds the services, once more with each mistake that the faults have to find, and injects the faults.
set -euo pipefail
cd "$(dirname "$0")/.."

dev/prerequisites.sh
cargo run --quiet --package dev-cluster -- tools cluster
target=${CARGO_TARGET_DIR:-target}
programs=$target/faults
mkdir -p "$programs"

build() {
    echo "• building the services: $1 …" >&2
    cargo build --quiet --package logistics "${@:2}"
    install "$target/debug/logistics" "$programs/$1"
}

broken=()
for mistake in skip-last-seq offset-early claim-rows; do
    build "$mistake" --features "broken-$mistake"
    broken+=(--broken "$mistake=$programs/$mistake")
done
# Last, so that no broken program is left where others look for the right one.
build right
read -ra arguments <<<"${FAULTS_ARGS:-}"
exec cargo run --quiet --package dev-faults -- --logistics "$programs/right" "${broken[@]}" "${arguments[@]}"
