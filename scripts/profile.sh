#!/usr/bin/env bash
# Shows where the time goes, by operation.
#
#     scripts/profile.sh                        # 32 windows of 128 tokens, f32
#     scripts/profile.sh int8 8x512             # a shape of benches/model.rs, in int8
#     scripts/profile.sh f32 texts.jsonl        # texts, tokenising included, as `moderato score`
#
# Needs Linux and `perf` (Debian: linux-perf). Builds into target/profile, with frame pointers, so
# that every sample is found below the operation it belongs to.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dtype=${1:-f32}
workload=${2:-32x128}
out=target/profile
seconds=5

command -v perf >/dev/null || { echo "profile.sh: perf is not installed" >&2; exit 1; }
export RUSTFLAGS="-C force-frame-pointers=yes -C symbol-mangling-version=v0"
export CARGO_TARGET_DIR=$out

if [[ -f $workload ]]; then
    cargo build --release --quiet
    command=("$out/release/moderato" score --dtype "$dtype" --input "$workload" --output /dev/null)
else
    bench=$(cargo bench --no-run --bench model --message-format=json 2>/dev/null |
        python3 -c 'import json, sys
for line in sys.stdin:
    artifact = json.loads(line)
    if "bench" in artifact.get("target", {}).get("kind", []):
        print(artifact["executable"])')
    command=("$bench" --bench --profile-time "$seconds" "^forward/$dtype/$workload\$")
fi

perf record --quiet -e cpu-clock -F 999 --call-graph fp --output "$out/perf.data" -- \
    "${command[@]}" >/dev/null
perf script --input "$out/perf.data" --fields comm,ip,sym 2>/dev/null |
    python3 scripts/profile_table.py "$dtype, $workload"
