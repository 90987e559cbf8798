#!/usr/bin/env bash
# Makes the default model again, a step a call, in this order:
#
#   scripts/model/moderato-small.sh prepare|teacher|relabel|first|seeds|average|calibrate|export|card
#
# In the working folder lie MiniLM/ and MPNet/ (sentence-transformers/all-MiniLM-L6-v2 and
# all-mpnet-base-v2), train.jsonl.zst, dev.jsonl and SOURCES.md; what is made comes beside them.
# Needs the packages of requirements.txt, and moderato on the PATH. A step that was cut off goes on
# when it is called again. `seeds 2` makes one seed only.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
model=$(realpath "$here/../../models/moderato-small")
own=$model/data
seeds=(1 2 3)

main() {
    case "${1:-}" in
        prepare | teacher | relabel | first | seeds | average | calibrate | export | card)
            "step_$1" "${@:2}"
            ;;
        *)
            sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
            exit 64
            ;;
    esac
}

# What each training has read; the texts of the last one are those of the card.
step_prepare() {
    texts teacher MPNet
    for base in MiniLM MPNet; do
        texts "first-$base" "$base" --rows "$own/adult.jsonl"
        texts "last-$base" "$base" --rows "$own/adult.jsonl" --rows "$own/contrasts.jsonl"
    done
}

texts() {
    run prepare --settings "$here/moderato-small.toml" --base "$2" --output "prepared-$1" \
        --rows train.jsonl.zst --rows "$own/written.jsonl" "${@:3}" --development dev.jsonl \
        --keep-out "$own/everyday.jsonl" --keep-out "$own/alarming.jsonl" --sources SOURCES.md
}

step_teacher() {
    train teacher --prepared prepared-teacher --base MPNet --output teacher
}

step_relabel() {
    relabel first first
    relabel moderato-small last
}

relabel() {
    run relabel --settings "$here/$1.toml" --teacher teacher \
        --prepared "prepared-$2-MiniLM" --teacher-prepared "prepared-$2-MPNet"
}

step_first() {
    train first --prepared prepared-first-MiniLM --set relabelled --base MiniLM --output first
}

step_seeds() {
    local seed
    for seed in "${@:-${seeds[@]}}"; do
        train moderato-small --prepared prepared-last-MiniLM --set relabelled --base first \
            --seed "$seed" --output "seed-$seed"
    done
}

step_average() {
    run average "${seeds[@]/#/--model=seed-}" --output weights
}

step_calibrate() {
    local folder
    for folder in weights "${seeds[@]/#/seed-}"; do
        run calibrate --model "$folder" --policy "$model/policy.toml" --version 2026-11 \
            --labels prepared-last-MiniLM/development.jsonl \
            --harmless prepared-last-MiniLM/harmless.jsonl
    done
}

step_export() {
    run export --model weights --self-test "$own/self_test.jsonl" --output "$model"
}

step_card() {
    run card --model "$model" "${seeds[@]/#/--sibling=seed-}" --prepared prepared-last-MiniLM \
        --labels prepared-last-MiniLM/development.jsonl
}

train() {
    run train --settings "$here/$1.toml" --threads 2 "${@:2}"
}

run() {
    python3 "$here/$1.py" "${@:2}"
}

main "$@"
