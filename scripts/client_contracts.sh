#!/usr/bin/env bash
# Asks a running moderato through the clients that people already use, each with its own contract
# in scripts/client_contracts/*_contract.py. Nothing but loopback is spoken to once the clients are
# installed.
#
# Usage: scripts/client_contracts.sh [path/to/moderato-binary [part of a check's name]]
# Without a path, `cargo build` makes target/debug/moderato first. Needs Python 3.11 to 3.13, and
# Node 18 or later with npm.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/python_venv.sh
source "$root/scripts/python_venv.sh"
here=$root/scripts/client_contracts
venv=$root/target/client-contracts-venv
node_clients=$root/target/client-contracts-node
ready_seconds=30
stop_seconds=30

main() {
    local binary=${1:-}
    if [[ -z $binary ]]; then
        (cd "$root" && cargo build)
        binary=$root/target/debug/moderato
    fi
    binary=$(realpath -e "$binary")
    # What is imported is compiled then; all of it would take longer and twice the space.
    make_venv "$venv" "$here/requirements.txt" --no-deps --no-compile
    make_node_clients

    work=$(mktemp -d)
    results=$work/results.txt
    servers=()
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    local url tight rc=0
    start_server "$binary"
    url=$address
    # One large text fills the queue of the second, and bodies may be hardly larger than it.
    start_server "$binary" --threads 1 --max-batch-tokens 512 \
        --max-queue-tokens 18000 --max-request-tokens 18000 --max-body-bytes 65536
    tight=$address
    run_checks "$url" "$tight" "${@:2}" || rc=$?
    stop_servers
    report "$rc"
}

# The clients for Node, installed anew whenever their versions or Node's change.
make_node_clients() {
    local stamp
    stamp=$( (cat "$here/node/package-lock.json"; node --version) | sha256sum | cut -d ' ' -f 1)
    if [[ "$(cat "$node_clients/stamp" 2>/dev/null)" != "$stamp" ]]; then
        rm -rf "$node_clients"
        mkdir -p "$node_clients"
        cp "$here/node/package.json" "$here/node/package-lock.json" "$node_clients"
        npm --prefix "$node_clients" ci --ignore-scripts --no-audit --no-fund --loglevel error >&2
        printf '%s\n' "$stamp" >"$node_clients/stamp"
    fi
}

# Adds the process to `servers` and leaves its address in `address`.
start_server() {
    local binary=$1 log=$work/server-${#servers[@]}.log server
    shift
    # The shell's exec makes `$!` the server itself, so that signals reach it.
    (cd "$work" && exec "$binary" serve --listen 127.0.0.1:0 --log-format json "$@") \
        >/dev/null 2>"$log" &
    server=$!
    servers+=("$server")
    local deadline=$((SECONDS + ready_seconds)) listening=
    until [[ -n $listening ]] && is_ready "http://$listening"; do
        kill -0 "$server" 2>/dev/null || fail_start "the server has stopped" "$log"
        ((SECONDS < deadline)) || fail_start "the server is not ready after $ready_seconds s" "$log"
        sleep 0.1
        listening=$(listening_address "$log")
    done
    address=http://$listening
}

listening_address() {
    sed -n '/"message": *"listening"/s/.*"address": *"\([^"]*\)".*/\1/p' "$1" | head -n 1
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
    tail -n 20 "$2" >&2
    printf '0 passed, 1 failed\n'
    exit 1
}

# A clean environment: no proxy, no keys, and nothing that LiteLLM would fetch or send.
run_checks() {
    env -i PATH="$PATH" HOME="$work" LANG=C.UTF-8 NO_PROXY='*' \
        PYTHONPYCACHEPREFIX="$venv/compiled" \
        LITELLM_LOCAL_MODEL_COST_MAP=True \
        LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS=True \
        LITELLM_TELEMETRY=False \
        HF_HUB_DISABLE_TELEMETRY=1 \
        NODE_CLIENTS="$node_clients" \
        "$venv/bin/python" "$here/contracts.py" "$@" 2>"$work/clients.log" | tee "$results"
}

stop_servers() {
    local pid pids=("${servers[@]}")
    servers=()
    for pid in "${pids[@]}"; do
        stop_server "$pid"
    done
}

stop_server() {
    local pid=$1 rc=0 deadline=$((SECONDS + stop_seconds))
    kill -TERM "$pid" 2>/dev/null || true
    while kill -0 "$pid" 2>/dev/null && ((SECONDS < deadline)); do
        sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    wait "$pid" || rc=$?
    if ((rc == 0)); then
        printf 'ok a server ends with 0 on SIGTERM\n' | tee -a "$results"
    else
        printf 'FAIL a server ends with 0 on SIGTERM: it ended with %s\n' "$rc" | tee -a "$results"
    fi
}

# Counts the lines; a runner that broke off before its end is a failure of its own.
report() {
    local passed failed
    passed=$(grep -c '^ok ' "$results" || true)
    failed=$(grep -c '^FAIL ' "$results" || true)
    if (($1 > 1)) || (($1 == 1 && failed == 0)); then
        printf 'FAIL contracts.py: it ended with %s; the end of its log:\n' "$1"
        tail -n 20 "$work/clients.log"
        failed=$((failed + 1))
    fi
    printf '%s passed, %s failed\n' "$passed" "$failed"
    ((failed == 0))
}

clean_up() {
    local pid
    for pid in "${servers[@]}"; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}

main "$@"
