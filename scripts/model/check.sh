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
    a_student_of_fewer_layers_learns_from_all_of_its_teacher
    a_smaller_vocabulary_reads_the_same_texts
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

a_student_of_fewer_layers_learns_from_all_of_its_teacher() {
    { cat "$here/example/tickets.toml" \
        && printf '\n[distill]\nlayers = [2, 4, 6]\nepochs = 40.0\nrows_per_step = 16\n'; } >layers.toml
    "$python" "$here/distill.py" --settings layers.toml --prepared prepared --teacher whole \
        --output layers --threads 1
    "$python" - <<'PYTHON'
import json, sys
found = json.load(open("layers/distillation.json"))["loss of each layer"]
pairs = list(zip(found["first"], found["last"], strict=True))
sys.exit(None if len(pairs) == 3 and all(last < first / 2 for first, last in pairs) else f"losses {pairs}")
PYTHON
}

a_smaller_vocabulary_reads_the_same_texts() {
    "$python" - "$here/example/tickets.csv" <<'PYTHON'
import csv, json, sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

texts = [row["text"] for row in csv.DictReader(open(sys.argv[1]))]
tokenizer = Tokenizer(models.Unigram())
tokenizer.normalizer = normalizers.NFKC()
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
special = ["<s>", "<pad>", "</s>", "<unk>"]
trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>")
tokenizer.train_from_iterator(texts, trainer)
tokenizer.post_processor = processors.TemplateProcessing(
    single="<s> $0 </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
)
folder = Path("unigram")
folder.mkdir()
tokenizer.save(str(folder / "tokenizer.json"))
n_pieces = tokenizer.get_vocab_size()
table = torch.arange(n_pieces * 4, dtype=torch.float32).reshape(n_pieces, 4)
save_file({"embeddings.word_embeddings.weight": table}, folder / "model.safetensors")
(folder / "config.json").write_text(json.dumps({"vocab_size": n_pieces}))
(folder / "tokenizer_config.json").write_text("{}")
with open("texts.jsonl", "w") as file:
    file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
PYTHON
    "$python" "$here/prune_vocabulary.py" --base unigram --pieces 120 --texts texts.jsonl \
        --held-out texts.jsonl --output smaller | tee pruned.txt
    grep -Eq '^en .* 0\.0000%$' pruned.txt || fail 'a smaller vocabulary does not know its own texts'
    "$python" - <<'PYTHON'
from safetensors.torch import load_file
from tokenizers import Tokenizer

before, after = (Tokenizer.from_file(f"{name}/tokenizer.json") for name in ("unigram", "smaller"))
table = load_file("smaller/model.safetensors")["embeddings.word_embeddings.weight"]
assert len(table) == after.get_vocab_size() == 120
for piece, place in after.get_vocab().items():
    assert table[place, 0] == 4 * before.token_to_id(piece), f"{piece} has the row of another piece"
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
