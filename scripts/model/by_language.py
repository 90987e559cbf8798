"""Tables of the card by language."""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from measured import Measured
from metrics import roc_auc, summary
from prepare import plain_tokenizer
from rows import ENGLISH, Row
from tables import share, share_of, table, with_interval

NAMES = {
    "en": "English", "fr": "French", "de": "German", "es": "Spanish", "it": "Italian",
    "pt": "Portuguese", "nl": "Dutch", "pl": "Polish", "ru": "Russian", "ar": "Arabic",
    "hi": "Hindi", "zh": "Chinese", "ja": "Japanese", "ko": "Korean",
}
UNSPACED = ("zh", "ja")  # written without spaces: what counts there is characters
DISGUISES = ("zero-width", "homoglyphs", "leet", "spacing")
SPEED_TEXTS = 400
SPEED_ROUNDS = 3


def quality_table(report: Measured, everyday: Measured) -> str:
    """How good it is in each language, and in all but English together."""
    head = ["language", "texts", "violations", "macro average precision", "ROC AUC of any category"]
    head += ["violations flagged", "harmless flagged", "everyday texts", "of them flagged"]
    parts = [(NAMES[it], report.of_language(it), everyday.of_language(it)) for it in NAMES]
    parts.append(("all but English", others(report), others(everyday)))
    return table(head, [quality_line(*part) for part in parts if part[1].rows])


def others(measured: Measured) -> Measured:
    """All texts that are not English."""
    places = [place for place, row in enumerate(measured.rows) if row.language != ENGLISH]
    return measured.part(places)


def quality_line(name: str, report: Measured, everyday: Measured) -> list[str]:
    """One language, or some."""
    is_any, is_known, highest = report.violations()
    flagged = report.any_flags()

    def area(places: np.ndarray) -> float:
        places = places[is_known[places]]
        return roc_auc(is_any[places], highest[places])

    def macro(places: np.ndarray) -> float:
        return summary(report.targets[places], report.scores[places], report.settings)["macro"]

    n_texts = len(report.rows)
    return [
        name, str(n_texts), str(is_any.sum()),
        with_interval(macro, n_texts), with_interval(area, n_texts),
        share(share_of(flagged[is_any])), share(share_of(flagged[is_known & ~is_any])),
        str(len(everyday.rows)), share(share_of(everyday.any_flags())),
    ]


def speed_table(measured: Measured, everyday: Measured) -> str:
    """Tokens of a word (of a character where words are not spaced), and texts in a second."""
    tokenizer = plain_tokenizer(measured.arguments.model)
    lines = []
    for language, name in NAMES.items():
        texts = [row.text for row in everyday.of_language(language).rows]
        if not texts:
            continue
        n_tokens = sum(len(it.ids) for it in tokenizer.encode_batch(texts, add_special_tokens=False))
        is_spaced = language not in UNSPACED
        n_units = sum(len(text.split()) if is_spaced else len(text) for text in texts)
        unit = "word" if is_spaced else "character"
        speed = texts_per_second(measured, texts)
        lines.append([
            name, f"{n_tokens / n_units:.2f} a {unit}", f"{n_tokens / len(texts):.1f}", f"{speed:,.0f}",
        ])
    return table(["language", "tokens", "tokens of a text", "texts in a second"], lines)


def texts_per_second(measured: Measured, texts: list[str]) -> float:
    """By the difference between many texts and one, so that loading does not count."""
    many = [texts[place % len(texts)] for place in range(SPEED_TEXTS)]
    times = [seconds(measured, many) - seconds(measured, many[:1]) for _ in range(SPEED_ROUNDS)]
    return SPEED_TEXTS / max(float(np.median(times)), 1e-3)


def seconds(measured: Measured, texts: list[str]) -> float:
    """Of a run of the program."""
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
        file.flush()
        binary, model = measured.arguments.binary, measured.arguments.model
        command = [binary, "score", "--model", model, "--input", file.name, "--output", "/dev/null"]
        began = time.perf_counter()
        subprocess.run(list(map(str, command)), check=True)
        return time.perf_counter() - began


def identity_table(measured: Measured) -> str:
    """How far the score of one sentence moves with the group that it names, by language."""
    found = json.loads((measured.arguments.model / "data" / "identity.json").read_text())
    lines = []
    for language, part in found.items():
        means, above, flags = identity(measured, part)
        order = np.argsort(-above)
        farthest = ", ".join(f"{part['groups'][place]} {above[place]:+.3f}" for place in order[:3])
        lines.append([
            NAMES[language], f"{len(part['groups'])} x {len(part['sentences'])}",
            f"{np.median(means):.3f}", farthest, f"{flags.sum()} of {flags.size}",
        ])
    head = ["language", "groups x sentences", "mean score of hate of the median group"]
    return table([*head, "farthest above it", "flagged"], lines)


def identity(measured: Measured, part: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each group, the mean score of hate and how far that is above the median group; and whether
    each sentence is flagged (sentence, group)."""
    groups, sentences = part["groups"], part["sentences"]
    scores = measured.score([sentence.format(group) for sentence in sentences for group in groups])
    shape = (len(sentences), len(groups))
    hate = scores[:, measured.settings.labels.index("hate_and_discrimination")].reshape(shape)
    means = hate.mean(axis=0)
    return means, means - np.median(means), measured.flags(scores).any(axis=1).reshape(shape)


def obfuscation_table(measured: Measured, languages: Iterable[str]) -> str:
    """What is left of the flags on disguised texts, and what undoing disguises does to harmless
    ones, by language."""
    lines = []
    parts = {it: measured.of_language(it) for it in languages}
    for language, part in parts.items():
        if not part.any_flags().any():
            continue  # there is nothing to disguise
        printed = obfuscation(part)
        cells = {row[0]: row for row in (line.strip("| ").split(" | ") for line in printed)}
        shown = [f"{cells[it][1]} ({cells[it][2]})" for it in DISGUISES]
        harmless = next(line for line in printed if line.startswith("harmless"))
        lines.append([NAMES[language], *shown, harmless.partition(": ")[2]])
    return table(["language", *DISGUISES, "harmless texts flagged, without and with it"], lines)


def obfuscation(part: Measured) -> list[str]:
    """What measure_obfuscation.py prints of some texts."""
    arguments = part.arguments
    script = Path(__file__).resolve().parent.parent / "measure_obfuscation.py"
    binary = shutil.which(arguments.binary) or arguments.binary
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        categories = part.settings.categories or part.settings.labels
        file.writelines(json.dumps(labelled(row, categories)) + "\n" for row in part.rows)
        file.flush()
        command = [sys.executable, script, "--binary", binary, "--model", arguments.model]
        command += ["--input", file.name, "--rounds", 0]
        printed = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        return printed.stdout.splitlines()


def labelled(row: Row, categories: tuple[str, ...]) -> dict:
    """A row as the program reads it."""
    return {"text": row.text, "labels": {it: row.labels.get(it) for it in categories}}


def other_table(measured: Measured) -> str:
    """What it makes of texts that are in none of its languages, or in several at once."""
    rows = measured.own("other_languages.jsonl")
    flagged = measured.flags(measured.score([row["text"] for row in rows])).any(axis=1)
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        places = [place for place, row in enumerate(rows) if row["kind"] == kind]
        cells = [kind]
        for is_violation in (True, False):
            part = [place for place in places if bool(rows[place]["expected"]) == is_violation]
            cells.append(f"{flagged[part].sum()} of {len(part)}")
        lines.append(cells)
    return table(["texts", "violations flagged", "harmless flagged"], lines)
