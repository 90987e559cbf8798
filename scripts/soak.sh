#!/usr/bin/env bash
# Holds `moderato serve` to what it promises under load, on the loopback; each mode ends with a
# table, figures in target/soak, and 1 if one of them misses its bar.
#
#     scripts/soak.sh soak --minutes 20            # changing models, policies and keys at 70 % load
#     scripts/soak.sh overload --minutes 2         # three times the load that it can take
#     scripts/soak.sh terminate --times 20         # SIGTERM under load: nothing accepted is lost
#     scripts/soak.sh fairness --minutes 1         # one greedy key beside eight polite ones
#
# Each takes --dtype f32|int8 and --binary PATH (else target/release/moderato is built), and tells
# the rest with --help. Needs Linux and Python 3.11 or later, and nothing else.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

main() {
    local binary=() argument
    for argument in "$@"; do
        case $argument in
        --binary | --binary=* | -h | --help) exec_soak "$@" ;;
        esac
    done
    if (($# > 0)); then
        (cd "$root" && cargo build --release)
        binary=(--binary "${CARGO_TARGET_DIR:-$root/target}/release/moderato")
    fi
    exec_soak "$@" "${binary[@]}"
}

exec_soak() {
    exec env PYTHONDONTWRITEBYTECODE=1 python3 "$root/scripts/soak/soak.py" "$@"
}

main "$@"
