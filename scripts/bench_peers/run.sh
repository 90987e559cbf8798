#!/usr/bin/env bash
# Measures moderato against what else could run its weights, in one run on the same cores.
#
#     scripts/bench_peers/run.sh                      # about 20 minutes on two cores, then a table
#     scripts/bench_peers/run.sh --runs 3 --texts texts.jsonl
#     scripts/bench_peers/run.sh --quick              # a few minutes: does everything work?
#     scripts/bench_peers/run.sh --help
#
# Makes what it needs below target/ and keeps it there: the peers' environment, their ONNX files,
# the report. The first time it needs a network for Python packages.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/python_venv.sh
source "$root/scripts/python_venv.sh"
here=$root/scripts/bench_peers
venv=$root/target/bench-peers-venv

main() {
    make_venv "$venv" "$here/requirements.txt"
    exec env PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
        "$venv/bin/python" "$here/driver.py" "$@"
}

main "$@"
