"""Model folders and policies that differ, made of the ones that are here."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
from pathlib import Path

from questions import NAME

WEIGHTS = "model.safetensors"
POLICY = "policy.toml"
SELF_TEST = "self_test.jsonl"
BIAS = "classifier.bias"
SHIFTS = (0.0, 0.75, -0.5)  # of the bias, in log-odds: each a model of its own


def make_models(source: Path, work: Path) -> list[Path]:
    """Folders of the same name whose weights differ."""
    return [make_model(source, work / f"shifted-{place}", by) for place, by in enumerate(SHIFTS)]


def make_model(source: Path, parent: Path, shift: float) -> Path:
    """The same with another bias; the self-test only where its scores still hold."""
    folder = copied(source, parent)
    if shift:
        (folder / SELF_TEST).unlink(missing_ok=True)
        weights = bytearray((folder / WEIGHTS).read_bytes())
        shift_bias(weights, shift)
        (folder / WEIGHTS).write_bytes(weights)
    return folder


def make_faulty_models(source: Path, work: Path) -> list[Path]:
    """Folders that must not come to serve."""
    cut = copied(source, work / "cut")
    os.truncate(cut / WEIGHTS, (cut / WEIGHTS).stat().st_size // 2)
    garbled = copied(source, work / "garbled")
    with (garbled / WEIGHTS).open("r+b") as weights:
        weights.seek(8)
        weights.write(b"not a header")
    # Sound but for its scores, which its self-test does not expect: fails at the very end.
    other = make_model(source, work / "other-scores", 2.0)
    shutil.copy(source / SELF_TEST, other / SELF_TEST)
    return [cut, garbled, other]


def copied(source: Path, parent: Path) -> Path:
    parent.mkdir()
    return Path(shutil.copytree(source, parent / NAME))


def shift_bias(weights: bytearray, shift: float) -> None:
    """Adds to the bias of every label; safetensors is a length, a JSON header, the numbers."""
    (n_header,) = struct.unpack_from("<Q", weights)
    info = json.loads(weights[8 : 8 + n_header])[BIAS]
    first, end = (8 + n_header + offset for offset in info["data_offsets"])
    code = {"F32": "f", "F16": "e"}.get(info["dtype"])
    if code is None:
        raise ValueError(f"{BIAS} is {info['dtype']}, expected F32 or F16")
    numbers = f"<{(end - first) // struct.calcsize(code)}{code}"
    shifted = [value + shift for value in struct.unpack_from(numbers, weights, first)]
    struct.pack_into(numbers, weights, first, *shifted)


def policies(source: Path) -> list[str]:
    """The policy of the model, and one that is stricter in its first category."""
    text = (source / POLICY).read_text(encoding="utf-8")
    other = re.sub(r'^version = "(.*)"$', r'version = "\1-strict"', text, count=1, flags=re.M)
    other = re.sub(r"^threshold = .*$", "threshold = 0.05", other, count=1, flags=re.M)
    return [text, other]


def put(file: Path, text: str) -> None:
    """At once: nobody reads half of it."""
    beside = file.with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(file)
