#!/usr/bin/env bash
# What must be there before the first line of Rust can be compiled; `dev prerequisites` sees to all the rest.
set -euo pipefail

if ! command -v cargo >/dev/null; then
    echo "error: cargo is missing: install Rust 1.95 or later with rustup (https://rustup.rs)" >&2
    exit 1
fi
if ! command -v cc >/dev/null; then
    if [[ $(id -u) != 0 || ! -x /usr/bin/apt-get ]]; then
        echo "error: a C compiler is missing; on Debian: apt-get install gcc libc6-dev" >&2
        exit 1
    fi
    apt-get update --quiet=2
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends gcc libc6-dev
fi
cargo run --quiet --package dev-cluster -- prerequisites
