#!/usr/bin/env bash
# From a checkout to a report: cluster, operator, platform, real shipments. With DEMO_KUBECONFIG, on that cluster.
set -euo pipefail
cd "$(dirname "$0")/.."

dev() { cargo run --quiet --package dev-cluster -- "$@"; }

dev/prerequisites.sh
if [[ -n ${DEMO_KUBECONFIG:-} ]]; then
    : "${REGISTRY:?names the repository that your cluster pulls images from, for example registry.example.com/me}"
    target=(--kubeconfig "$DEMO_KUBECONFIG")
    dev images --push "$REGISTRY"
    dev backing "${target[@]}" --registry "$REGISTRY"
else
    dev tools
    dev images
    dev up
    target=()
fi
read -ra args <<<"${DEMO_ARGS:-}"
dev install "${target[@]}"
dev demo "${target[@]}" -- "${args[@]}"
