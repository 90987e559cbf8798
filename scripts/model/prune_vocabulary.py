"""Leaves out of a model's vocabulary the pieces that its languages do not need.

    python3 scripts/model/prune_vocabulary.py --base E5 --pieces 80000 \\
        --texts train.jsonl.zst --texts pool.jsonl.zst --held-out dev_multilingual.jsonl \\
        --output E5-pruned

Texts are JSON lines with "text" and "language" (English if it is missing); of sentence pairs, with
"english", both sides are read. Kept are the special tokens, every piece of one character, and then
pieces by the sum of their shares of the tokens of each language, so that each language counts
alike. What is left out is read as smaller pieces. The scores of the Unigram model stay as they are.
Of --held-out texts it is said how many tokens are unknown, and how many tokens a text has before
and after, by language.
"""

import argparse
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from prepare import plain_tokenizer
from rows import read_json

TABLE = "embeddings.word_embeddings.weight"
BATCH = 4096

Texts = dict[str, list[str]]  # by language


def main() -> None:
    """Counts, chooses, writes, measures."""
    arguments = parse_arguments()
    base, output = arguments.base, arguments.output
    tokenizer = plain_tokenizer(base)
    found = json.loads(tokenizer.to_str())
    if found["model"]["type"] != "Unigram":
        raise SystemExit(f"{base}: expected a Unigram tokenizer")
    texts = by_language(arguments.texts)
    counts = {language: count(tokenizer, it) for language, it in texts.items()}
    kept = chosen(found, counts, arguments.pieces)
    print(f"{len(found['model']['vocab'])} pieces, of which {len(kept)} are kept")
    output.mkdir(parents=True, exist_ok=True)
    write_tokenizer(found, kept, output / "tokenizer.json")
    write_weights(base, kept, output)
    report(tokenizer, plain_tokenizer(output), by_language(arguments.held_out))


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--base", type=Path, required=True, metavar="FOLDER", help="with a Unigram tokenizer")
    add("--pieces", type=int, required=True, metavar="N", help="at most so many, special tokens too")
    add("--texts", type=Path, required=True, action="append", metavar="FILE", help="to count in")
    add("--held-out", type=Path, default=[], action="append", metavar="FILE", help="to measure with")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def by_language(files: Iterable[Path]) -> Texts:
    """All texts of the files."""
    found = defaultdict(list)
    english = set()  # the same sentence stands beside several languages
    for file in files:
        for line, _place in read_json(file):
            found[line.get("language", "en")].append(line["text"])
            if "english" in line:
                english.add(line["english"])
    found["en"].extend(sorted(english))
    return {language: texts for language, texts in sorted(found.items()) if texts}


def count(tokenizer: Tokenizer, texts: list[str]) -> Counter:
    """How often each id occurs."""
    found = Counter()
    for first in range(0, len(texts), BATCH):
        for encoded in tokenizer.encode_batch(texts[first : first + BATCH], add_special_tokens=False):
            found.update(encoded.ids)
    return found


def chosen(tokenizer: dict, counts: dict[str, Counter], n_pieces: int) -> list[int]:
    """Ids to keep, in their order."""
    kept = {token["id"] for token in tokenizer["added_tokens"]}
    vocabulary = tokenizer["model"]["vocab"]
    kept |= {id_ for id_, (piece, _score) in enumerate(vocabulary) if len(piece) == 1}
    if len(kept) > n_pieces:
        raise SystemExit(f"prune_vocabulary.py: {len(kept)} characters alone are more than that")
    shares = Counter()
    for found in counts.values():
        total = found.total()
        shares.update({id_: number / total for id_, number in found.items()})
    for id_, _share in shares.most_common():
        if len(kept) == n_pieces:
            break
        kept.add(id_)
    return sorted(kept)


def write_tokenizer(tokenizer: dict, kept: list[int], file: Path) -> None:
    """With the ids counted anew; `tokenizer` is changed."""
    new_ids = {old: new for new, old in enumerate(kept)}
    model = tokenizer["model"]
    model["vocab"] = [model["vocab"][old] for old in kept]
    model["unk_id"] = new_ids[model["unk_id"]]
    for token in tokenizer["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    for token in tokenizer["post_processor"]["special_tokens"].values():
        token["ids"] = [new_ids[old] for old in token["ids"]]
    file.write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")))


def write_weights(base: Path, kept: list[int], output: Path) -> None:
    """The same model with fewer rows of embeddings."""
    weights = load_file(base / "model.safetensors")
    weights[TABLE] = weights[TABLE][kept].contiguous()
    save_file(weights, output / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((base / "config.json").read_text())
    config["vocab_size"] = len(kept)
    (output / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copyfile(base / "tokenizer_config.json", output / "tokenizer_config.json")


def report(before: Tokenizer, after: Tokenizer, texts: Texts) -> None:
    """What became of the tokens, by language."""
    unknown = after.token_to_id("<unk>")
    print(f"{'language':<10}{'texts':>7}{'tokens before':>15}{'after':>9}{'unknown':>10}")
    for language, part in texts.items():
        was, now = count(before, part), count(after, part)
        print(f"{language:<10}{len(part):>7}{was.total() / len(part):>15.2f}", end="")
        print(f"{now.total() / len(part):>9.2f}{now[unknown] / now.total():>10.4%}")


if __name__ == "__main__":
    main()
