"""huggingface_hub's InferenceClient, for text classification."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from huggingface_hub import AsyncInferenceClient
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from categories import CATEGORIES
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_in_order
from expect import expect_scores
from expect import expect_told_apart
from expect import refusal
from servers import MODEL
from servers import Servers
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER


def check_hugging_face_by_the_model(servers: Servers) -> None:
    expect_classifier(f"{servers.url}/models/{MODEL}")


def check_hugging_face_by_the_base_url(servers: Servers) -> None:
    for url in [f"{servers.url}/", servers.url]:
        expect_classifier(url)


def check_hugging_face_async(servers: Servers) -> None:
    async def classify() -> Any:
        async with AsyncInferenceClient(model=f"{servers.url}/models/{MODEL}") as client:
            return await client.text_classification(HARMFUL)

    labels = asyncio.run(classify())
    expect_equal("first label", labels[0].label, VIOLATED)
    expect_equal("number of labels", len(labels), len(CATEGORIES))


def check_hugging_face_top_k(servers: Servers) -> None:
    labels = classify(f"{servers.url}/models/{MODEL}", HARMFUL, top_k=3)
    expect_equal("number of labels", len(labels), 3)
    expect_equal("first label", labels[0].label, VIOLATED)


def check_hugging_face_function_to_apply(servers: Servers) -> None:
    scored = {}
    for function in ["sigmoid", "none", "softmax"]:
        labels = classify(servers.url, HARMFUL, function_to_apply=function)
        expect_equal("first label", labels[0].label, VIOLATED)
        expect_in_order("scores", [label.score for label in labels])
        scored[function] = {label.label: label.score for label in labels}
    expect_equal("default", scores(classify(servers.url, HARMFUL)), scored["sigmoid"])
    total = sum(scored["softmax"].values())
    expect(f"softmax sums to {total}, which is 1", abs(total - 1) < 1e-6)
    expect("logits are below 0 too", min(scored["none"].values()) < 0)


def check_hugging_face_maps_errors(servers: Servers) -> None:
    def status(url: str, text: str) -> int:
        return refusal(HfHubHTTPError, partial(classify, url, text)).response.status_code

    expect_equal("unknown model", status(f"{servers.url}/models/other", HARMLESS), 404)
    expect_equal("too large a body", status(servers.tight, LARGER), 413)
    with servers.full_queue():
        expect_equal("full queue", status(servers.tight, LARGE), 503)


def check_hugging_face_errors_say_why(servers: Servers) -> None:
    error = refusal(HfHubHTTPError, partial(classify, f"{servers.url}/models/other", HARMLESS))
    expect_equal("keys", list(error.response.json()), ["error"])
    expect("the error names the model", "other" in error.response.json()["error"])


def check_hugging_face_blank_text_scores_zero(servers: Servers) -> None:
    expect_equal("scores", set(scores(classify(servers.url, "")).values()), {0})


def classify(url: str, text: str, **parameters: Any) -> Any:
    return InferenceClient(model=url, timeout=60).text_classification(text, **parameters)


def scores(labels: Any) -> dict[str, float]:
    return {label.label: label.score for label in labels}


def expect_classifier(url: str) -> None:
    harmful, harmless = classify(url, HARMFUL), classify(url, HARMLESS)
    for labels in [harmful, harmless]:
        expect_scores(scores(labels), CATEGORIES)
        expect_in_order("scores", [label.score for label in labels])
    expect_equal("first label", harmful[0].label, VIOLATED)
    expect_told_apart(scores(harmful)[VIOLATED], scores(harmless)[VIOLATED])
