#!/usr/bin/env bash
# Asks a running moderato through the clients that people already use: openai, mistralai
# and LiteLLM. Nothing but loopback is spoken to once the clients are installed.
#
# Usage: scripts/client_contracts.sh [path/to/moderato-binary]
# Without a path, `cargo build` makes target/debug/moderato first.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/python_venv.sh
source "$root/scripts/python_venv.sh"
here=$root/scripts/client_contracts
venv=$root/target/client-contracts-venv
ready_seconds=30
stop_seconds=30

main() {
    local binary=${1:-}
    if [[ -z $binary ]]; then
        (cd "$root" && cargo build)
        binary=$root/target/debug/moderato
    fi
    binary=$(realpath -e "$binary")
    make_venv "$venv" "$here/requirements.txt" --no-deps

    work=$(mktemp -d)
    log=$work/server.log
    results=$work/results.txt
    server=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    start_server "$binary"
    local rc=0
    run_checks || rc=$?
    stop_server
    report "$rc"
}

# Leaves the process in `server` and its address in `url`.
start_server() {
    # The shell's exec makes `$!` the server itself, so that signals reach it.
    (cd "$work" && exec "$1" serve --listen 127.0.0.1:0 --log-format json) >/dev/null 2>"$log" &
    server=$!
    local deadline=$((SECONDS + ready_seconds)) address=
    until [[ -n $address ]] && is_ready "http://$address"; do
        kill -0 "$server" 2>/dev/null || fail_start "the server has stopped"
        ((SECONDS < deadline)) || fail_start "the server is not ready after $ready_seconds s"
        sleep 0.1
        address=$(listening_address)
    done
    url=http://$address
}

listening_address() {
    sed -n '/"message": *"listening"/s/.*"address": *"\([^"]*\)".*/\1/p' "$log" | head -n 1
}

is_ready() {
    "$venv/bin/python" - "$1/health/ready" <<'PYTHON' 2>/dev/null
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.exit(opener.open(sys.argv[1], timeout=5).status != 200)
PYTHON
}

fail_start() {
    printf '%s; the end of its log:\n' "$1" >&2
    tail -n 20 "$log" >&2
    printf '0 passed, 1 failed\n'
    exit 1
}

# A clean environment: no proxy, no keys, and nothing that LiteLLM would fetch or send.
run_checks() {
    env -i PATH="$PATH" HOME="$work" LANG=C.UTF-8 NO_PROXY='*' \
        PYTHONDONTWRITEBYTECODE=1 \
        LITELLM_LOCAL_MODEL_COST_MAP=True \
        LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS=True \
        LITELLM_TELEMETRY=False \
        HF_HUB_OFFLINE=1 HF_HUB_DISABLE_TELEMETRY=1 \
        "$venv/bin/python" "$here/contracts.py" "$url" | tee "$results"
}

stop_server() {
    local pid=$server rc=0 deadline=$((SECONDS + stop_seconds))
    server=
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" || rc=$?
    if ((rc == 0)); then
        printf 'ok      server: SIGTERM ends it with 0\n' | tee -a "$results"
    else
        printf 'FAILED  server: SIGTERM ended it with %s\n' "$rc" | tee -a "$results"
    fi
}

# Counts the lines; a runner that broke off before its end is a failure of its own.
report() {
    local passed failed
    passed=$(grep -c '^ok ' "$results" || true)
    failed=$(grep -c '^FAILED ' "$results" || true)
    if (($1 > 1)) || (($1 == 1 && failed == 0)); then
        printf 'FAILED  contracts.py: it ended with %s\n' "$1"
        failed=$((failed + 1))
    fi
    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

clean_up() {
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || true
    fi
    rm -rf "$work"
}

main "$@"
