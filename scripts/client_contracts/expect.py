"""What a check may expect, each with a message that says what was found instead."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any


def expect(what: str, holds: bool) -> None:
    if not holds:
        raise AssertionError(f"not so: {what}")


def expect_equal(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def expect_matches(what: str, value: str, pattern: str) -> None:
    expect(f"{what} {value!r} matches {pattern}", re.fullmatch(pattern, value) is not None)


def expect_in_order(what: str, values: list[float]) -> None:
    """Checks that values fall, as where the highest score stands first."""
    expect_equal(what, values, sorted(values, reverse=True))


def expect_told_apart(harmful: float, harmless: float) -> None:
    """Checks the scores that the two texts have in the category that the harmful one violates."""
    expect(f"the harmful text scores {harmful:.3f}, which is 0.5 or more", harmful >= 0.5)
    expect(f"the harmless text scores {harmless:.3f}, which is below 0.1", harmless < 0.1)


def expect_scores(scores: Mapping[str, Any], names: list[str]) -> None:
    """Checks that there is a score from 0 to 1 under each name, in any order, and no other."""
    expect_equal("names", sorted(scores), sorted(names))
    for name, score in scores.items():
        expect(f"the score of {name} is a number, not {score!r}", type(score) in (int, float))
        expect(f"the score of {name}, {score}, is within [0, 1]", 0 <= score <= 1)


def expect_same_scores(
    left: Mapping[str, float], right: Mapping[str, float], tolerance: float
) -> None:
    expect_equal("names", sorted(left), sorted(right))
    for name, score in left.items():
        difference = abs(score - right[name])
        expect(f"{name} differs by {difference:.1e}, at most {tolerance}", difference <= tolerance)


def refusal(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Returns the error of `kind` that `call` has to raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"it was accepted; expected {kind.__name__}")
