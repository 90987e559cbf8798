"""Mistral's client for Python."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from mistralai.client import Mistral
from mistralai.client.errors import MistralError

from categories import CATEGORIES
from categories import MISTRAL_2411
from categories import MISTRAL_2603
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_same_scores
from expect import expect_scores
from expect import expect_told_apart
from expect import refusal
from moderation import expect_categories
from servers import Servers
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER
from texts import TEXTS
from texts import TOLERANCE

LATEST = "mistral-moderation-latest"
CALM = [
    {"role": "system", "content": "You are a travel guide."},
    {"role": "user", "content": "Where does the path to the lake begin?"},
    {"role": "assistant", "content": "Behind the station.", "prefix": False},
    {"role": "user", "content": [{"type": "text", "text": HARMLESS}]},
]
HEATED = [*CALM[:3], {"role": "user", "content": HARMFUL}]
# The harm is in the context, not in the last turn.
CALMED = [*HEATED, {"role": "assistant", "content": HARMLESS}]
CALLS = ["moderate", "moderate_chat", "classify", "classify_chat"]


def check_mistral_moderate(servers: Servers) -> None:
    answer = call(servers.url, "moderate", inputs=[HARMFUL, HARMLESS])
    expect_moderations(answer, MISTRAL_2603)


def check_mistral_moderate_one_text(servers: Servers) -> None:
    answer = call(servers.url, "moderate", inputs=TEXTS[0])
    expect_answer(answer, n_results=1)
    expect_categories(answer.results[0].categories, answer.results[0].category_scores, MISTRAL_2603)


def check_mistral_names_follow_the_model(servers: Servers) -> None:
    for model, names in [
        ("mistral-moderation-2411", MISTRAL_2411),
        ("mistral-moderation-2603", MISTRAL_2603),
        ("moderato-small", CATEGORIES),
    ]:
        answer = call(servers.url, "moderate", model=model, inputs=[HARMFUL, HARMLESS])
        expect_moderations(answer, names)


def check_mistral_moderate_async(servers: Servers) -> None:
    async def moderate() -> Any:
        async with client(servers.url) as mistral:
            return await mistral.classifiers.moderate_async(
                model=LATEST, inputs=[HARMFUL, HARMLESS]
            )

    expect_moderations(asyncio.run(moderate()), MISTRAL_2603)


def check_mistral_moderate_chat(servers: Servers) -> None:
    expect_moderations(call(servers.url, "moderate_chat", inputs=[HEATED, CALM]), MISTRAL_2603)


def check_mistral_moderate_chat_judges_the_last_turn(servers: Servers) -> None:
    answer = call(servers.url, "moderate_chat", inputs=[HEATED, CALMED])
    heated, calmed = (result.category_scores[VIOLATED] for result in answer.results)
    expect(f"{calmed:.3f} after the calm turn is less than {heated:.3f}", calmed < heated)


def check_mistral_moderate_chat_one_conversation(servers: Servers) -> None:
    answer = call(servers.url, "moderate_chat", inputs=HEATED)
    expect_answer(answer, n_results=1)
    expect("the threat is seen", answer.results[0].categories[VIOLATED])


def check_mistral_moderate_chat_takes_tools(servers: Servers) -> None:
    function = {"name": "weather", "arguments": "{}"}
    calls = [{"id": "a1b2c3d4e", "type": "function", "function": function}]
    conversation = [
        {"role": "user", "content": "How is the weather?"},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "content": "Sunny.", "tool_call_id": "a1b2c3d4e", "name": "weather"},
        {"role": "assistant", "content": HARMLESS},
    ]
    answer = call(servers.url, "moderate_chat", inputs=conversation)
    expect_answer(answer, n_results=1)
    expect_equal("violated", [answer.results[0].categories[VIOLATED]], [False])


def check_mistral_classify(servers: Servers) -> None:
    answer = call(servers.url, "classify", inputs=[HARMFUL, HARMLESS])
    expect_classifications(answer, MISTRAL_2603)
    native = call(servers.url, "classify", model="moderato-small", inputs=[HARMFUL, HARMLESS])
    expect_classifications(native, CATEGORIES)


def check_mistral_classify_agrees_with_moderate(servers: Servers) -> None:
    classified = call(servers.url, "classify", inputs=HARMFUL).results[0]["moderation"].scores
    moderated = call(servers.url, "moderate", inputs=HARMFUL).results[0].category_scores
    expect_same_scores(classified, moderated, TOLERANCE)


def check_mistral_classify_chat(servers: Servers) -> None:
    conversations = [{"messages": HEATED}, {"messages": CALM}]
    answer = call(servers.url, "classify_chat", input=conversations)
    expect_classifications(answer, MISTRAL_2603)


def check_mistral_classify_chat_agrees_with_moderate_chat(servers: Servers) -> None:
    answer = call(servers.url, "classify_chat", input={"messages": HEATED})
    classified = answer.results[0]["moderation"].scores
    moderated = call(servers.url, "moderate_chat", inputs=HEATED).results[0].category_scores
    expect_same_scores(classified, moderated, TOLERANCE)


def check_mistral_blank_text_scores_zero(servers: Servers) -> None:
    for name in CALLS:
        result = requested(servers.url, name, "")().results[0]
        scores = result["moderation"].scores if "classify" in name else result.category_scores
        expect_equal(f"scores of {name}", set(scores.values()), {0})


def check_mistral_too_large_a_body_is_413(servers: Servers) -> None:
    for name in CALLS:
        expect_error(requested(servers.tight, name, LARGER), 413, "body_too_large")


def check_mistral_a_full_queue_is_503(servers: Servers) -> None:
    for name in CALLS:
        with servers.full_queue():
            expect_error(requested(servers.tight, name, LARGE), 503, "server_is_overloaded")


def client(url: str) -> Mistral:
    return Mistral(server_url=url, api_key="unused", timeout_ms=60_000)


def call(url: str, name: str, model: str = LATEST, **inputs: Any) -> Any:
    """Calls one of the methods of `classifiers`."""
    with client(url) as mistral:
        return getattr(mistral.classifiers, name)(model=model, **inputs)


def requested(url: str, name: str, text: str) -> Callable[[], Any]:
    """A call with one text, as each of the methods takes it."""
    turn = [{"role": "user", "content": text}]
    inputs = {
        "moderate": {"inputs": text},
        "moderate_chat": {"inputs": turn},
        "classify": {"inputs": text},
        "classify_chat": {"input": {"messages": turn}},
    }
    return partial(call, url, name, **inputs[name])


def expect_answer(answer: Any, n_results: int) -> None:
    expect_matches("id", answer.id, r"(modr|mod)-[0-9a-f]{32}")
    expect_matches("model", answer.model, r"moderato-small@[0-9a-f]{12}")
    expect_equal("number of results", len(answer.results), n_results)


def expect_moderations(answer: Any, names: list[str]) -> None:
    """Checks what the client keeps of the answer to a harmful and a harmless text."""
    expect_answer(answer, n_results=2)
    for result in answer.results:
        expect_categories(result.categories, result.category_scores, names)
    violated = [result.categories[VIOLATED] for result in answer.results]
    expect_equal(f"categories.{VIOLATED}", violated, [True, False])
    expect_told_apart(*(result.category_scores[VIOLATED] for result in answer.results))


def expect_classifications(answer: Any, names: list[str]) -> None:
    """Checks the scores of a harmful and a harmless text."""
    expect_answer(answer, n_results=2)
    for result in answer.results:
        expect_equal("targets", list(result), ["moderation"])
        expect_scores(result["moderation"].scores, names)
    expect_told_apart(*(result["moderation"].scores[VIOLATED] for result in answer.results))


def expect_error(call: Callable[[], Any], status: int, code: str) -> None:
    error = refusal(MistralError, call)
    expect_equal("status", error.status_code, status)
    expect_equal("code", json.loads(error.body)["error"]["code"], code)
