"""NeMo Guardrails' rail hf_classifier, with the engines that ask a server."""

from __future__ import annotations

import asyncio
from typing import Any

from nemoguardrails import RailsConfig
from nemoguardrails.library.hf_classifier.actions import hf_classifier_check_input
from nemoguardrails.library.hf_classifier.backends import get_backend

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_scores
from expect import expect_told_apart
from expect import refusal
from servers import MODEL
from servers import Servers
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER

ENGINES = ["vllm", "kserve", "fms"]


def check_nemo_vllm(servers: Servers) -> None:
    harmful, harmless = classify(servers.url, "vllm", HARMFUL, HARMLESS)
    expect_equal("number of labels", (len(harmful), len(harmless)), (1, 1))
    expect_equal("label", harmful[0]["label"], VIOLATED)
    expect_told_apart(harmful[0]["score"], harmless[0]["score"])


def check_nemo_kserve(servers: Servers) -> None:
    harmful, harmless = map(scores, classify(servers.url, "kserve", HARMFUL, HARMLESS))
    expect_scores(harmful, CATEGORIES)
    expect_scores(harmless, CATEGORIES)
    expect_told_apart(harmful[VIOLATED], harmless[VIOLATED])


def check_nemo_fms(servers: Servers) -> None:
    """It sends no header detector-id."""
    harmful, harmless = map(scores, classify(servers.url, "fms", HARMFUL, HARMLESS))
    expect_equal("labels", list(harmful), [VIOLATED])
    expect_told_apart(harmful[VIOLATED], harmless.get(VIOLATED, 0.0))


def check_nemo_rail_blocks_and_allows(servers: Servers) -> None:
    for engine in ENGINES:
        for text, is_blocked in [(HARMFUL, True), (HARMLESS, False)]:
            outcome = rail(servers.url, engine, text)
            expect_equal(f"{engine} blocks {text!r}", outcome.is_blocked, is_blocked)


def check_nemo_rail_lets_blank_texts_pass(servers: Servers) -> None:
    for engine in ENGINES:
        expect_equal(f"{engine} blocks", rail(servers.url, engine, "").is_blocked, False)


def check_nemo_maps_errors(servers: Servers) -> None:
    """It raises on whatever is not 200, with the status and the body."""

    def expect_status(engine: str, url: str, text: str, status: str) -> None:
        error = refusal(ValueError, lambda: classify(url, engine, text))
        expect(f"{engine}: {str(error)[:200]!r} has {status}", f" {status}: " in str(error))

    for engine in ENGINES:
        expect_status(engine, servers.tight, LARGER, "413")
        with servers.full_queue():
            expect_status(engine, servers.tight, LARGE, "503")


def config(url: str, engine: str) -> RailsConfig:
    classifier = {
        "engine": engine,
        "model": MODEL,
        "base_url": url,
        "threshold": 0.5,
        "blocked_labels": [VIOLATED],
    }
    rails = {"config": {"hf_classifier": {"moderato": classifier}}}
    return RailsConfig.from_content(config={"models": [], "rails": rails})


def classify(url: str, engine: str, *texts: str) -> list[list[dict[str, Any]]]:
    """What the engine's reader makes of each text."""

    async def read() -> Any:
        backend = get_backend(config(url, engine).rails.config.hf_classifier["moderato"])
        return [await backend.classify(text) for text in texts]

    return asyncio.run(read())


def rail(url: str, engine: str, text: str) -> Any:
    return asyncio.run(hf_classifier_check_input("moderato", config=config(url, engine), text=text))


def scores(labels: list[dict[str, Any]]) -> dict[str, float]:
    return {label["label"]: label["score"] for label in labels}
