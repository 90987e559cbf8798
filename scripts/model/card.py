"""Measures a model folder and writes its card, README.md, with every figure in it.

    python3 scripts/model/card.py --model models/moderato-small \\
        --labels dev.jsonl --labels dev_multilingual.jsonl --clauses clauses.jsonl.zst \\
        --prepared PREPARED

Of the labelled texts, those of the part "select" are left out: what the recipe was chosen by. The
texts of its own that it measures with are in the folder's data/: everyday.jsonl and alarming.jsonl
(harmless ones), identity.json (the same sentence about other groups), other_languages.jsonl and
failures.jsonl (what is known to go wrong); everyday texts in other languages are those that
prepare.py has held out. Writes figures.json and two charts beside the card, and copies the manifest
of the prepared set there. --sibling, once for each, is a folder that was made like the model, with
another seed.
"""

import argparse
import hashlib
import json
import string
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

import by_language
import charts
import served
from calibrate import LEAST_OF_A_KIND, cross_fitted
from measured import Measured, measure
from metrics import average_precision, calibration_error, roc_auc, summary
from prepare import with_labels
from rows import ENGLISH, Row, read, read_labels
from tables import share, share_of, table, with_interval
from text_kinds import KINDS, LENGTHS, kind_of, length_of

SELECT = "select"  # the part of a development set that the recipe was chosen by
# What a harmless talk has before its last turn.
TALK = "user: Good morning!\nassistant: Good morning! What can I do for you?\nuser: "
DISGUISED = ("en", "fr", "ru", "ar", "hi", "zh")  # five scripts
HERE = Path(__file__).resolve().parent


def main() -> None:
    """Measures, draws, writes."""
    arguments = parse_arguments()
    report = measure(arguments, labelled_rows(arguments))
    english = report.of_language(ENGLISH)
    found = summary(english.targets, english.scores, english.settings)
    (arguments.model / "figures.json").write_text(json.dumps(without_nan(figures(report)), indent=1) + "\n")
    known = english.known(categories(english))
    charts.draw_reliability(known, arguments.model / "reliability.png")
    charts.draw_precision(known, arguments.model / "precision-recall.png")
    manifest = json.loads((arguments.prepared / "manifest.json").read_text())
    (arguments.model / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    template = string.Template(arguments.template.read_text())
    parts = of_the_folder(arguments, manifest) | of_english(english, found) | of_languages(report)
    (arguments.model / "README.md").write_text(template.substitute(parts))
    print(f"English: macro {found['macro']:.4f}, any ROC AUC {found['any_roc']:.4f}")


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="by export.py")
    add("--binary", default="moderato", metavar="FILE", help="default: the one on the PATH")
    add("--labels", type=Path, required=True, action="append", metavar="FILE", help="development sets")
    add("--clauses", type=Path, metavar="FILE", help="more labels of them, by id")
    add("--prepared", type=Path, required=True, metavar="FOLDER", help="by prepare.py")
    add("--sibling", type=Path, default=[], action="append", metavar="FOLDER", help="of another seed")
    add("--template", type=Path, default=HERE / "card.md", metavar="FILE")
    return parser.parse_args()


def labelled_rows(arguments: argparse.Namespace) -> list[Row]:
    """The texts to report on."""
    clauses = read_labels(arguments.clauses) if arguments.clauses else {}
    rows = [row for file in arguments.labels for row in read(file) if row.part != SELECT]
    return [with_labels(row, clauses) for row in rows]


def categories(measured: Measured) -> list[str]:
    """The labels that are categories."""
    return [measured.settings.labels[col] for col in measured.settings.of_categories()]


def figures(report: Measured) -> dict:
    """Of each language, what `summary` says."""
    found = {}
    for language in by_language.NAMES:
        part = report.of_language(language)
        if part.rows:
            found[language] = summary(part.targets, part.scores, part.settings)
    return found


def without_nan(found: dict) -> dict:
    """The same with null, which JSON has, instead of NaN, which it has not."""
    return {
        key: without_nan(it) if isinstance(it, dict) else None if np.isnan(it) else it
        for key, it in found.items()
    }


# What fills the template.


def of_the_folder(arguments: argparse.Namespace, manifest: dict) -> dict[str, str]:
    """What needs no scores."""
    weights = (arguments.model / "model.safetensors").read_bytes()
    return {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "sources": source_table(manifest),
        "n_rows": f"{manifest['rows']:,}",
        "settings": (arguments.model / "settings.toml").read_text().strip(),
    }


def of_english(english: Measured, found: dict[str, float]) -> dict[str, str]:
    """What is measured in English."""
    others = [it for it in english.settings.labels if it not in categories(english)]
    return {
        "n_development": str(len(english.rows)),
        "macro": f"{found['macro']:.4f}",
        "any_roc": f"{found['any_roc']:.4f}",
        "categories": category_table(english),
        "labels": label_table(english, others),
        "seeds": seed_table(english, found),
        "lengths": group_table(english, list(LENGTHS), length_of),
        "kinds": group_table(english, KINDS, kind_of),
        "turns": group_table(last_turns(english), KINDS, kind_of),
        "everyday": harmless_table(english, "everyday.jsonl"),
        "alarming": harmless_table(english, "alarming.jsonl"),
        "failures": failure_table(english),
    }


def of_languages(report: Measured) -> dict[str, str]:
    """What is measured in every language."""
    rows = read(report.arguments.prepared / "everyday.jsonl")
    own = read(report.arguments.model / "data" / "everyday.jsonl")
    everyday = report.of_other_rows([*own, *(row for row in rows if row.language != ENGLISH)])
    return {
        "languages": by_language.quality_table(report, everyday),
        "speed": by_language.speed_table(report, everyday),
        "identity": by_language.identity_table(report),
        "obfuscation": by_language.obfuscation_table(report, DISGUISED),
        "others": by_language.other_table(report),
    }


# Tables.


def category_table(measured: Measured) -> str:
    """Each category on the development set."""
    head = ["category", "positives", "average precision", "ROC AUC", "calibration error"]
    head += ["threshold", "precision", "recall", "F1"]
    lines = []
    known = measured.known(categories(measured))
    for threshold, (category, (label, score)) in zip(measured.thresholds, known.items(), strict=True):
        flagged = score >= threshold
        hits, n_flagged, n_positives = int((flagged & label).sum()), flagged.sum(), label.sum()
        precision, recall = hits / max(n_flagged, 1), hits / max(n_positives, 1)
        lines.append([
            *label_cells(category, label, score), f"{threshold:.2f}",
            f"{precision:.2f}", f"{recall:.2f}", f"{2 * hits / max(n_flagged + n_positives, 1):.2f}",
        ])
    return table(head, lines)


def label_table(measured: Measured, labels: list[str]) -> str:
    """Labels that are no categories."""
    head = ["label", "positives", "average precision", "ROC AUC", "calibration error"]
    known = measured.known(labels)
    return table(head, [label_cells(name, *it) for name, it in known.items() if it[0].any()])


def label_cells(name: str, label: np.ndarray, score: np.ndarray) -> list[str]:
    """How well its scores are in order, and how far they are probabilities."""
    precision = with_interval(lambda places: average_precision(label[places], score[places]), len(label))
    error = float("nan")
    if min(label.sum(), (~label).sum()) >= LEAST_OF_A_KIND:
        odds = np.log(np.clip(score, 1e-7, 1)) - np.log1p(-np.clip(score, 0, 1 - 1e-7))
        error = calibration_error(label, cross_fitted(name, odds, label))
    return [name, str(label.sum()), precision, share(roc_auc(label, score)), share(error)]


def seed_table(measured: Measured, found: dict[str, float]) -> str:
    """The figures of the same recipe with other seeds."""
    columns = {"this model": found}
    for number, folder in enumerate(measured.arguments.sibling, start=1):
        texts = [row.text for row in measured.rows]
        labels = list(measured.settings.labels)
        scores = served.scores(measured.arguments.binary, folder, texts, labels)
        columns[f"seed {number}"] = summary(measured.targets, scores, measured.settings)
    siblings = list(columns.values())[1:]
    if siblings:
        columns["median of the seeds"] = {
            name: float(np.median([it[name] for it in siblings])) for name in found
        }
    lines = [[name, *(share(it[name]) for it in columns.values())] for name in found]
    return table(["figure", *columns], lines)


def group_table(measured: Measured, names: list[str], group_of: Callable[[Row], str]) -> str:
    """Texts by kind or length: how many, and how well violations are told from the rest."""
    groups: dict[str, list[int]] = {name: [] for name in names}
    for place, row in enumerate(measured.rows):
        groups[group_of(row)].append(place)
    lines = []
    for name, places in groups.items():
        part = measured.part(places)
        if not places:
            continue
        is_any, is_known, highest = part.violations()
        flagged = part.any_flags()
        area = roc_auc(is_any[is_known], highest[is_known])
        shares = (area, share_of(flagged[is_any]), share_of(flagged[is_known & ~is_any]))
        lines.append([name, str(len(places)), str(is_any.sum()), *map(share, shares)])
    head = ["texts", "number", "violations", "ROC AUC", "violations flagged", "others flagged"]
    return table(head, lines)


def last_turns(measured: Measured) -> Measured:
    """The requests again, each as the last turn of a talk."""
    requests = [row for row in measured.rows if kind_of(row) == "request"]
    return measured.of_other_rows([replace(row, text=TALK + row.text) for row in requests])


def harmless_table(measured: Measured, name: str) -> str:
    """Flags on harmless texts of our own, by what they are."""
    rows = measured.own(name)
    flags = measured.flags(measured.score([row["text"] for row in rows]))
    kinds = dict.fromkeys(row["kind"] for row in rows)
    lines = []
    for kind in [*kinds, "**all**"]:
        places = [place for place, row in enumerate(rows) if kind in (row["kind"], "**all**")]
        wrong = flags[places].any(axis=1)
        lines.append([kind, str(len(places)), str(wrong.sum()), share(wrong.mean())])
    return table(["texts", "number", "flagged", "share"], lines)


def failure_table(measured: Measured) -> str:
    """Own examples of what is known to go wrong, with what comes out."""
    rows = measured.own("failures.jsonl")
    all_scores = measured.score([row["text"] for row in rows])
    names = categories(measured)
    lines = []
    for row, scores, flags in zip(rows, all_scores, measured.flags(all_scores), strict=True):
        said = ", ".join(names[col] for col in np.flatnonzero(flags)) or "nothing"
        score = scores[measured.settings.of_categories()]
        highest = f"{names[int(score.argmax())]} {score.max():.2f}"
        lines.append([row["text"].replace("|", "/"), row["expected"], said, highest])
    return table(["text", "should be", "is flagged as", "highest score"], lines)


def source_table(manifest: dict) -> str:
    """Public sources with their licences."""
    lines = [
        [name, f"{it['rows']:,}", it.get("where", "this project"), it.get("licence", "the project's own")]
        for name, it in manifest["sources"].items()
    ]
    return table(["source", "rows", "where", "licence"], lines)


if __name__ == "__main__":
    main()
