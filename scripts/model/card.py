"""Measures a model folder and writes its card, README.md, with every figure in it.

    python3 scripts/model/card.py --model models/moderato-small \\
        --labels PREPARED/development.jsonl --prepared PREPARED

The texts of its own that it measures with are in the folder's data/: everyday.jsonl and
alarming.jsonl (harmless ones), identity.json (the same sentence about other groups) and
failures.jsonl (what is known to go wrong). Writes figures.json and two charts beside the card, and
copies the manifest of the prepared set there. --sibling, once for each, is a folder that was made
like the model, with another seed.
"""

import argparse
import hashlib
import json
import shutil
import string
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import charts
import served
import settings as settings_file
from calibrate import cross_fitted, read_categories
from metrics import average_precision, calibration_error, roc_auc, summary
from rows import UNKNOWN, Row, read
from text_kinds import KINDS, LENGTHS, kind_of, length_of

N_RESAMPLES = 1000
# What a harmless talk has before its last turn.
TALK = "user: Good morning!\nassistant: Good morning! What can I do for you?\nuser: "
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """A model, and the development set as it sees it."""

    arguments: argparse.Namespace
    categories: list[str]
    thresholds: np.ndarray
    rows: list[Row]
    labels: np.ndarray  # (text, category)
    scores: np.ndarray  # (text, category)

    def score(self, texts: list[str]) -> np.ndarray:
        """Of other texts."""
        binary, model = self.arguments.binary, self.arguments.model
        return served.scores(binary, model, texts, self.categories)

    def flags(self, scores: np.ndarray) -> np.ndarray:
        """(text, category)"""
        return scores >= self.thresholds

    def known(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """By category: whether a text is positive, and its score, wherever the label is known."""
        found = {}
        for col, category in enumerate(self.categories):
            is_known = self.labels[:, col] != UNKNOWN
            found[category] = (self.labels[is_known, col] == 1, self.scores[is_known, col])
        return found


def main() -> None:
    """Measures, draws, writes."""
    arguments = parse_arguments()
    measured = measure(arguments)
    found = summary(measured.labels, measured.scores, measured.categories)
    (arguments.model / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    known = measured.known()
    charts.draw_reliability(known, arguments.model / "reliability.png")
    charts.draw_precision(known, arguments.model / "precision-recall.png")
    weights = (arguments.model / "model.safetensors").read_bytes()
    manifest = json.loads((arguments.prepared / "manifest.json").read_text())
    (arguments.model / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    parts = {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "n_development": str(len(measured.rows)),
        "macro": f"{found['macro']:.4f}",
        "any_roc": f"{found['any_roc']:.4f}",
        "categories": category_table(measured),
        "seeds": seed_table(measured, found),
        "lengths": group_table(measured, list(LENGTHS), length_of),
        "kinds": group_table(measured, KINDS, kind_of),
        "turns": group_table(last_turns(measured), KINDS, kind_of),
        "everyday": harmless_table(measured, "everyday.jsonl"),
        "alarming": harmless_table(measured, "alarming.jsonl"),
        "identity": identity_table(measured),
        "obfuscation": obfuscation_table(measured),
        "failures": failure_table(measured),
        "sources": source_table(manifest),
        "n_rows": f"{manifest['rows']:,}",
        "settings": (arguments.model / "settings.toml").read_text().strip(),
    }
    template = string.Template(arguments.template.read_text())
    (arguments.model / "README.md").write_text(template.substitute(parts))
    print(f"macro {found['macro']:.4f}, any ROC AUC {found['any_roc']:.4f}")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="by export.py")
    add("--binary", default="moderato", metavar="FILE", help="default: the one on the PATH")
    add("--labels", type=Path, required=True, metavar="FILE", help="the development set")
    add("--prepared", type=Path, required=True, metavar="FOLDER", help="by prepare.py")
    add("--sibling", type=Path, default=[], action="append", metavar="FOLDER", help="of another seed")
    add("--template", type=Path, default=HERE / "card.md", metavar="FILE")
    return parser.parse_args()


def measure(arguments: argparse.Namespace) -> Measured:
    """Scores the development set."""
    categories = read_categories(arguments.model / "config.json")
    policy = (arguments.model / "policy.toml").read_text()
    if any(it.get("label") != it["id"] for it in tomllib.loads(policy)["categories"]):
        sys.exit("card.py: expected a policy that calls its categories as the model does")
    rows = list(read(arguments.labels))
    scores = served.scores(arguments.binary, arguments.model, [it.text for it in rows], categories)
    labels = np.array([row.targets(categories) for row in rows])
    return Measured(arguments, categories, thresholds_of(policy, categories), rows, labels, scores)


def thresholds_of(policy: str, categories: list[str]) -> np.ndarray:
    """In the order of the categories."""
    found = {it["id"]: it["threshold"] for it in tomllib.loads(policy)["categories"]}
    return np.array([found[category] for category in categories])


# Tables.


def category_table(measured: Measured) -> str:
    """Each category on the development set."""
    head = ["category", "positives", "average precision", "ROC AUC", "calibration error"]
    head += ["threshold", "precision", "recall", "F1"]
    lines = []
    for threshold, (category, (label, score)) in zip(
        measured.thresholds, measured.known().items(), strict=True
    ):
        flagged = score >= threshold
        low, high = interval(label, score, average_precision)
        odds = np.log(np.clip(score, 1e-7, 1)) - np.log1p(-np.clip(score, 0, 1 - 1e-7))
        error = calibration_error(label, cross_fitted(category, odds, label))
        hits, n_flagged, n_positives = int((flagged & label).sum()), flagged.sum(), label.sum()
        precision, recall = hits / max(n_flagged, 1), hits / max(n_positives, 1)
        lines.append([
            category, str(n_positives),
            f"{average_precision(label, score):.3f} ({low:.2f} to {high:.2f})",
            f"{roc_auc(label, score):.3f}", f"{error:.3f}", f"{threshold:.2f}",
            f"{precision:.2f}", f"{recall:.2f}", f"{2 * hits / max(n_flagged + n_positives, 1):.2f}",
        ])
    return table(head, lines)


def seed_table(measured: Measured, found: dict[str, float]) -> str:
    """The figures of the same recipe with other seeds."""
    columns = {"this model": found}
    for folder in measured.arguments.sibling:
        texts = [row.text for row in measured.rows]
        scores = served.scores(measured.arguments.binary, folder, texts, measured.categories)
        seed = settings_file.read(folder / "settings.toml").train.seed
        columns[f"seed {seed}"] = summary(measured.labels, scores, measured.categories)
    siblings = list(columns.values())[1:]
    if siblings:
        columns["median of the seeds"] = {
            name: float(np.median([it[name] for it in siblings])) for name in found
        }
    lines = [[name, *(f"{it[name]:.3f}" for it in columns.values())] for name in found]
    return table(["figure", *columns], lines)


def interval(
    label: np.ndarray, score: np.ndarray, figure: Callable[[np.ndarray, np.ndarray], float]
) -> tuple[float, float]:
    """The 95 % interval of a figure, by resampling the texts."""
    chance = np.random.default_rng(0)
    found = [
        figure(label[places], score[places])
        for places in chance.integers(len(label), size=(N_RESAMPLES, len(label)))
    ]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def group_table(measured: Measured, names: list[str], group_of: Callable[[Row], str]) -> str:
    """Texts by kind or length: how many, and how well violations are told from the rest."""
    groups: dict[str, list[int]] = {name: [] for name in names}
    for place, row in enumerate(measured.rows):
        groups[group_of(row)].append(place)
    lines = []
    for name, places in groups.items():
        if not places:
            continue
        labels, scores = measured.labels[places], measured.scores[places]
        is_any = (labels == 1).any(axis=1)
        decided = is_any | (labels != UNKNOWN).all(axis=1)
        flagged = measured.flags(scores).any(axis=1)
        area = roc_auc(is_any[decided], scores[decided].max(axis=1))
        caught = flagged[is_any].mean() if is_any.any() else float("nan")
        calm = flagged[decided & ~is_any]
        alarms = calm.mean() if len(calm) else float("nan")
        lines.append([name, str(len(places)), str(is_any.sum()), *map(share, (area, caught, alarms))])
    head = ["texts", "number", "violations", "ROC AUC", "violations flagged", "others flagged"]
    return table(head, lines)


def last_turns(measured: Measured) -> Measured:
    """The requests again, each as the last turn of a talk."""
    places = [place for place, row in enumerate(measured.rows) if kind_of(row) == "request"]
    rows = [replace(row, text=TALK + row.text) for row in (measured.rows[place] for place in places)]
    scores = measured.score([row.text for row in rows])
    return replace(measured, rows=rows, labels=measured.labels[places], scores=scores)


def harmless_table(measured: Measured, name: str) -> str:
    """Flags on harmless texts of our own, by what they are."""
    rows = [json.loads(line) for line in data(measured, name).read_text().splitlines()]
    flags = measured.flags(measured.score([row["text"] for row in rows]))
    kinds = dict.fromkeys(row["kind"] for row in rows)
    lines = []
    for kind in [*kinds, "**all**"]:
        places = [place for place, row in enumerate(rows) if kind in (row["kind"], "**all**")]
        wrong = flags[places].any(axis=1)
        lines.append([kind, str(len(places)), str(wrong.sum()), share(wrong.mean())])
    return table(["texts", "number", "flagged", "share"], lines)


def identity_table(measured: Measured) -> str:
    """How far the score of one sentence moves with the group that it names."""
    found = json.loads(data(measured, "identity.json").read_text())
    groups, sentences = found["groups"], found["sentences"]
    texts = [sentence.format(group) for sentence in sentences for group in groups]
    scores = measured.score(texts)
    flags = measured.flags(scores).any(axis=1).reshape(len(sentences), len(groups))
    hate = scores[:, measured.categories.index("hate_and_discrimination")]
    hate = hate.reshape(len(sentences), len(groups))
    above = hate - np.median(hate, axis=1, keepdims=True)
    lines = [
        [group.split(" ", 1)[1], f"{hate[:, col].mean():.3f}", f"{above[:, col].mean():+.3f}",
         f"{flags[:, col].sum()} of {len(sentences)}"]
        for col, group in enumerate(groups)
    ]
    lines.sort(key=lambda line: -float(line[2]))
    return table(["group", "mean score of hate", "above the median group", "flagged"], lines)


def obfuscation_table(measured: Measured) -> str:
    """What is left of the flags on disguised texts."""
    arguments = measured.arguments
    binary = shutil.which(arguments.binary) or arguments.binary
    command = [sys.executable, HERE.parent / "measure_obfuscation.py", "--binary", binary]
    command += ["--model", arguments.model, "--input", arguments.labels, "--rounds", 0]
    printed = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
    return "\n".join(line for line in printed.stdout.splitlines() if line.startswith("|"))


def failure_table(measured: Measured) -> str:
    """Own examples of what is known to go wrong, with what comes out."""
    rows = [json.loads(line) for line in data(measured, "failures.jsonl").read_text().splitlines()]
    scores = measured.score([row["text"] for row in rows])
    lines = []
    for row, score in zip(rows, scores, strict=True):
        top = int(score.argmax())
        names = [measured.categories[col] for col in np.flatnonzero(score >= measured.thresholds)]
        said = ", ".join(names) or "nothing"
        highest = f"{measured.categories[top]} {score[top]:.2f}"
        lines.append([row["text"].replace("|", "/"), row["expected"], said, highest])
    return table(["text", "should be", "is flagged as", "highest score"], lines)


def source_table(manifest: dict) -> str:
    """Public sources with their licences."""
    lines = [
        [name, f"{it['rows']:,}", it.get("where", "this project"), it.get("licence", "the project's own")]
        for name, it in manifest["sources"].items()
    ]
    return table(["source", "rows", "where", "licence"], lines)


def table(head: list[str], lines: list[list[str]]) -> str:
    """In Markdown."""
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines])


def share(value: float) -> str:
    """Three digits, or a dash where there is nothing to measure."""
    return "-" if np.isnan(value) else f"{value:.3f}"


def data(measured: Measured, name: str) -> Path:
    """One of the folder's own sets of texts."""
    return measured.arguments.model / "data" / name


if __name__ == "__main__":
    main()
