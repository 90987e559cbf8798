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
here=$root/scripts/bench_peers
venv=$root/target/bench-peers-venv

main() {
    install_peers
    exec env PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
        "$venv/bin/python" "$here/driver.py" "$@"
}

# The folder is made anew whenever the requirements or the interpreter change.
install_peers() {
    local stamp
    stamp=$( (cat "$here/requirements.txt"; python3 --version) | sha256sum | cut -d ' ' -f 1)
    if [[ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]]; then
        rm -rf "$venv"
        mkdir -p "$(dirname "$venv")"
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --only-binary :all: --requirement "$here/requirements.txt" >&2
        printf '%s\n' "$stamp" >"$venv/stamp"
    fi
}

main "$@"
