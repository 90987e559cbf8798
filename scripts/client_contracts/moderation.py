"""What a body of POST /v1/moderations has to be, whichever client asked for it."""

from __future__ import annotations

from typing import Any

from categories import CATEGORIES
from expect import expect_equal
from expect import expect_matches
from expect import expect_scores


def expect_answer(answer: dict[str, Any], n_results: int, names: list[str] = CATEGORIES) -> None:
    """Checks a whole body."""
    expect_matches("id", answer["id"], r"modr-[0-9a-f]{32}")
    expect_matches("model", answer["model"], r"moderato-small@[0-9a-f]{12}")
    expect_equal("number of results", len(answer["results"]), n_results)
    for result in answer["results"]:
        expect_categories(result["categories"], result["category_scores"], names)
        expect_equal("flagged", result["flagged"], any(result["categories"].values()))
        applied = result["category_applied_input_types"]
        expect_equal("applied types", applied, {id: ["text"] for id in result["categories"]})


def expect_categories(
    categories: dict[str, Any], scores: dict[str, Any], names: list[str] = CATEGORIES
) -> None:
    """Checks the two maps of one result."""
    categories, scores = named(categories, names), named(scores, names)
    expect_scores(scores, names)
    expect_equal("names of categories", list(categories), list(scores))
    expect_equal("types of categories", {type(value) for value in categories.values()}, {bool})


def named(values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Leaves out OpenAI's spelling of our self_harm, which has to say the same.

    OpenAI's client has a field `self_harm` of its own and fills it from "self-harm" only; it drops
    a key "self_harm" without a word. So bodies in our own names carry both.
    """
    if names != CATEGORIES:
        return values
    expect_equal("self-harm", values["self-harm"], values["self_harm"])
    return {id: value for id, value in values.items() if id != "self-harm"}
