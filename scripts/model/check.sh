#!/usr/bin/env bash
# Makes a model of the example's tickets in seconds, from labels to served weights, and holds the
# pipeline to what it promises. Needs Python 3.11 or later.
#
# Usage: scripts/model/check.sh path/to/moderato-binary
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/python_venv.sh
source "$root/scripts/python_venv.sh"
here=$root/scripts/model
base=$root/models/moderato-small
least_average_precision=0.6

main() {
    local binary venv
    binary=$(realpath -e "$1")
    venv=$root/target/model-venv
    make_venv "$venv" "$here/requirements.txt" --no-compile
    python=$venv/bin/python
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cd "$work"

    step prepare --rows "$here/example/tickets.csv" --base "$base" \
        --hold-out 4 --output prepared
    train whole
    stopped_runs_end_the_same
    the_mean_of_equals_is_each_of_them
    a_student_learns_from_a_teacher
    "$python" "$here/calibrate.py" --model whole --binary "$binary" \
        --labels prepared/development.jsonl --harmless prepared/harmless.jsonl --ceiling 1
    "$python" "$here/export.py" --model whole --output served
    scores_are_those_of_the_pipeline
    "$binary" evaluate --model served --input prepared/development.jsonl --json >figures.json
    "$python" - "$least_average_precision" <<'PYTHON'
import json, sys
found = json.load(open("figures.json"))["macro_average"]["average_precision"]["value"]
sys.exit(None if found >= float(sys.argv[1]) else f"macro average precision {found}")
PYTHON
    printf 'model pipeline: ok\n'
}

step() {
    "$python" "$here/$1.py" --settings "$here/example/tickets.toml" "${@:2}"
}

train() {
    step train --prepared prepared --base "$base" --output "$1" \
        --threads 1 "${@:2}"
}

stopped_runs_end_the_same() {
    if train parts --stop-after-steps 40; then
        fail 'a run that is to stop did not'
    fi
    train parts
    cmp whole/model.safetensors parts/model.safetensors \
        || fail 'a run that was stopped ended with other weights'
}

the_mean_of_equals_is_each_of_them() {
    "$python" "$here/average.py" --model whole --model parts --output mean
    cmp whole/model.safetensors mean/model.safetensors \
        || fail 'the mean of two equal models is another model'
}

a_student_learns_from_a_teacher() {
    { cat "$here/example/tickets.toml" && printf '\n[relabel.trust]\nannotated = 0.5\n'; } >heard.toml
    "$python" "$here/relabel.py" --settings heard.toml --prepared prepared --teacher whole
    "$python" "$here/train.py" --settings heard.toml --prepared prepared --set relabelled \
        --base "$base" --output student --threads 1
    "$python" - "$least_average_precision" <<'PYTHON'
import json, sys
found = json.load(open("student/training.json"))["history"][-1]["macro"]
sys.exit(None if found >= float(sys.argv[1]) else f"macro average precision {found} of a student")
PYTHON
}

# moderato itself checks the self-test, whose scores transformers and numpy have made; this is with
# a tolerance that only the same arithmetic meets.
scores_are_those_of_the_pipeline() {
    sed -i 's/"tolerance": [0-9.]*/"tolerance": 0.00002/' served/self_test.jsonl
    "$binary" score --model served 'My refund is late.' >/dev/null
    sed -i 's/"scale": /"scale": 1/' served/calibration.json
    if "$binary" score --model served 'My refund is late.' >/dev/null 2>&1; then
        fail 'another calibration went unnoticed'
    fi
    sed -i 's/"scale": 1/"scale": /' served/calibration.json
}

fail() {
    printf 'model pipeline: %s\n' "$1" >&2
    exit 1
}

main "$@"
