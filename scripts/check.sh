#!/usr/bin/env bash
# What CI runs, and what every commit passes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

check_dependencies() {
    # None that is not used; none of another licence, twice without a reason, or from elsewhere.
    cargo machete
    cargo deny check bans licenses sources
    if cargo deny fetch db; then
        cargo deny check --disable-fetch advisories
    else
        printf 'check.sh: ADVISORIES NOT CHECKED: their database could not be fetched\n' >&2
    fi
}

cargo fmt --check
check_dependencies
cargo clippy --all-targets --locked -- -D warnings
cargo test --locked
# Private items too, so that their links are checked.
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked --document-private-items
