"""Checkpoints of a run: all or nothing, and of one task only."""

from pathlib import Path

import torch


def save(file: Path, stamp: str, state: dict) -> None:
    """Replaces the file; the stamp says which task the state is of."""
    partial = file.with_suffix(".partial")
    torch.save({"stamp": stamp, **state}, partial)
    partial.replace(file)


def load(file: Path, stamp: str) -> dict | None:
    """The state, or None without a file; one of another task ends the program."""
    if not file.exists():
        return None
    state = torch.load(file, weights_only=True)
    if state["stamp"] != stamp:
        raise SystemExit(f"{file} is of another task: other rows or settings")
    return state
