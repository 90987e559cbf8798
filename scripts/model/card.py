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
import string
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import served
import settings as settings_file
from calibrate import cross_fitted, ids_of, read_categories
from metrics import average_precision, calibration_error, curve, roc_auc, summary
from rows import UNKNOWN, Row, read

N_RESAMPLES = 1000
N_BINS = 15
LENGTHS = {"to 16 words": 16, "to 64": 64, "to 256": 256, "more": 1_000_000}
KINDS = ["request", "reply", "conversation", "post or message"]
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


def main() -> None:
    """Measures, draws, writes."""
    arguments = parse_arguments()
    measured = measure(arguments)
    found = summary(measured.labels, measured.scores, measured.categories)
    (arguments.model / "figures.json").write_text(json.dumps(found, indent=1) + "\n")
    draw_reliability(measured, arguments.model / "reliability.png")
    draw_precision(measured, arguments.model / "precision-recall.png")
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
    if any(label != name for label, name in ids_of(policy).items()):
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
    for col, category in enumerate(measured.categories):
        known = measured.labels[:, col] != UNKNOWN
        label, score = measured.labels[known, col] == 1, measured.scores[known, col]
        flagged = score >= measured.thresholds[col]
        low, high = interval(label, score, average_precision)
        odds = np.log(np.clip(score, 1e-7, 1)) - np.log1p(-np.clip(score, 0, 1 - 1e-7))
        error = calibration_error(label, cross_fitted(category, odds, label))
        hits, n_flagged, n_positives = int((flagged & label).sum()), flagged.sum(), label.sum()
        precision, recall = hits / max(n_flagged, 1), hits / max(n_positives, 1)
        lines.append([
            category, str(n_positives),
            f"{average_precision(label, score):.3f} ({low:.2f} to {high:.2f})",
            f"{roc_auc(label, score):.3f}", f"{error:.3f}", f"{measured.thresholds[col]:.2f}",
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


def length_of(row: Row) -> str:
    """By words."""
    n_words = len(row.text.split())
    return next(name for name, most in LENGTHS.items() if n_words <= most)


def kind_of(row: Row) -> str:
    """As far as the form of a text tells."""
    text = row.text.lstrip().lower()
    if text.startswith(("user:", "human:", "[user", "assistant:")) or "\nassistant:" in text:
        return "conversation"
    if text.startswith(REPLIES):
        return "reply"
    if text.rstrip().endswith("?") or text.split()[0] in REQUEST_WORDS:
        return "request"
    return "post or message"


REPLIES = ("sure", "certainly", "of course", "as an ai", "i'm sorry", "i am sorry", "sorry, i")
REQUEST_WORDS = {
    *("what", "how", "why", "who", "where", "when", "which", "can", "could", "write", "tell"),
    *("give", "explain", "create", "make", "describe", "list", "provide", "suggest", "help"),
    *("generate", "teach", "develop", "design", "draft", "compose", "please"),
}


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
    command = [sys.executable, HERE.parent / "measure_obfuscation.py", "--binary", arguments.binary]
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


# Charts.


def draw_reliability(measured: Measured, file: Path) -> None:
    """Mean score against the share of positives, in bins of equal mass."""

    def draw(axes: plt.Axes, label: np.ndarray, score: np.ndarray) -> None:
        order = np.argsort(score, kind="stable")
        parts = np.array_split(order, N_BINS)
        axes.plot([0, 1], [0, 1], color="0.8")
        axes.plot([score[it].mean() for it in parts], [label[it].mean() for it in parts], "o-")
        axes.set(xlabel="mean score", ylabel="share of positives")

    draw_all(measured, file, draw)


def draw_precision(measured: Measured, file: Path) -> None:
    """Precision against recall."""

    def draw(axes: plt.Axes, label: np.ndarray, score: np.ndarray) -> None:
        hits, flagged = curve(label, score)
        axes.step(hits / max(label.sum(), 1), hits / flagged, where="post")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))

    draw_all(measured, file, draw)


def draw_all(
    measured: Measured, file: Path, draw: Callable[[plt.Axes, np.ndarray, np.ndarray], None]
) -> None:
    """A panel for each category."""
    n_rows = -(-len(measured.categories) // 5)
    figure, panels = plt.subplots(n_rows, 5, figsize=(15, 3 * n_rows), layout="constrained")
    for col, (category, axes) in enumerate(zip(measured.categories, panels.flat, strict=False)):
        known = measured.labels[:, col] != UNKNOWN
        draw(axes, measured.labels[known, col] == 1, measured.scores[known, col])
        axes.set_title(category, fontsize=9)
    figure.savefig(file, dpi=80, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
