#!/usr/bin/env bash
# What CI runs, and what every commit passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo fmt --check
cargo clippy --all-targets --locked -- -D warnings
cargo test --locked
# Private items too, so that their links are checked.
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
