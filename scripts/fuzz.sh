#!/usr/bin/env bash
# Feeds random input to what reads it, for so many seconds each: bodies of requests, policies, files
# of keys, files of models. Ends with 1 at the first finding, which is kept in fuzz/artifacts.
#
#     scripts/fuzz.sh [SECONDS] [TARGET...]
#
# Needs a nightly Rust and cargo-fuzz (`cargo install cargo-fuzz --locked`).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"

main() {
    local seconds=${1:-600} target
    local targets=("${@:2}")
    if ((${#targets[@]} == 0)); then
        targets=(bodies policy keys artifact)
    fi
    cargo +nightly fuzz build
    for target in "${targets[@]}"; do
        mkdir -p "corpus/$target"
        printf '%s, %s s\n' "$target" "$seconds"
        # What takes ten seconds hangs.
        cargo +nightly fuzz run "$target" "corpus/$target" "seeds/$target" -- \
            -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
            -print_final_stats=1
    done
}

main "$@"
