"""LiteLLM: its moderation call, and the types of guardrail that can ask us.

The guardrails are asked through the classes that LiteLLM's proxy calls, without the proxy.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import fastapi
import httpx
import litellm
import openai
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.guardrails.guardrail_hooks.generic_guardrail_api import GenericGuardrailAPI
from litellm.proxy.guardrails.guardrail_hooks.ibm_guardrails.ibm_detector import (
    IBMGuardrailDetector,
)
from litellm.proxy.guardrails.guardrail_hooks.openai.moderations import OpenAIModerationGuardrail
from litellm.types.llms.openai import OpenAIModerationResponse
from litellm.types.llms.openai import OpenAIModerationResult

from categories import CATEGORIES
from categories import OPENAI
from categories import VIOLATED
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_told_apart
from expect import refusal
from moderation import expect_categories
from moderation import named
from servers import Servers
from servers import ask
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER
from texts import TEXTS


def check_litellm_types_parse_the_answer(servers: Servers) -> None:
    for model, names in [("omni-moderation-latest", OPENAI), ("moderato-small", CATEGORIES)]:
        body = ask(servers.url, "/v1/moderations", {"input": TEXTS, "model": model})
        answer = OpenAIModerationResponse(**body)
        expect_equal("results", len(answer.results), len(TEXTS))
        for raw in body["results"]:
            result = OpenAIModerationResult(**raw)
            expect_equal("scores", list(named(result.category_scores, names)), names)


def check_litellm_moderation_tells_harmful_from_harmless(servers: Servers) -> None:
    expect_moderations(litellm.moderation(**moderation(servers.url, [HARMFUL, HARMLESS])))


def check_litellm_amoderation_tells_harmful_from_harmless(servers: Servers) -> None:
    request = moderation(servers.url, [HARMFUL, HARMLESS])
    expect_moderations(asyncio.run(litellm.amoderation(**request)))


def check_litellm_moderation_maps_errors(servers: Servers) -> None:
    def refused(kind: type[Exception], url: str, text: str | list[str]) -> Any:
        # Its own client asks three times, by when the queue has room.
        once = openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0)
        return refusal(kind, partial(litellm.moderation, **moderation(url, text), client=once))

    error = refused(openai.BadRequestError, servers.url, [])
    expect_equal("code", error.code, "no_texts")
    error = refused(openai.APIStatusError, servers.tight, LARGER)
    expect_equal("status and code", (error.status_code, error.code), (413, "body_too_large"))
    with servers.full_queue():
        error = refused(openai.InternalServerError, servers.tight, LARGE)
    expect_equal("status and code", (error.status_code, error.code), (503, "server_is_overloaded"))


def check_litellm_openai_moderation_guardrail(servers: Servers) -> None:
    guardrail = partial(ask_openai_guardrail, servers.url)
    error = refusal(fastapi.HTTPException, partial(guardrail, HARMFUL))
    found = error.detail["moderation_result"]
    expect("violence is violated", "violence" in found["violated_categories"])
    expect("violence has its score", found["category_scores"]["violence"] >= 0.5)
    expect_equal("what passes", guardrail(HARMLESS), {"texts": [HARMLESS]})


def check_litellm_openai_moderation_guardrail_fails_closed(servers: Servers) -> None:
    def status(url: str, text: str) -> int:
        call = partial(ask_openai_guardrail, url, text)
        return refusal(httpx.HTTPStatusError, call).response.status_code

    expect_equal("status", status(servers.tight, LARGER), 413)
    with servers.full_queue():
        expect_equal("status", status(servers.tight, LARGE), 503)


def check_litellm_generic_guardrail(servers: Servers) -> None:
    guardrail = partial(ask_generic_guardrail, servers.url)
    call = partial(guardrail, [HARMLESS, HARMFUL])
    error = refusal(litellm.exceptions.GuardrailRaisedException, call)
    expect(f"{error} names {VIOLATED}", VIOLATED in str(error))
    for texts in [[HARMLESS], TEXTS, [HARMLESS, ""]]:
        expect_equal("what passes", guardrail(texts)["texts"], texts)
    history = [{"role": "user", "content": HARMLESS}, {"role": "assistant", "content": TEXTS[0]}]
    whole = guardrail([HARMLESS], structured_messages=history, model="a-model")
    expect_equal("what passes", whole["texts"], [HARMLESS])


def check_litellm_generic_guardrail_reads_the_turns_of_agents(servers: Servers) -> None:
    """What an agent is about to send stands in the arguments of its tool calls alone."""
    for text, is_blocked in [(HARMFUL, True), (HARMLESS, False)]:
        arguments = json.dumps({"to": "ann", "mail": {"subject": "hello", "body": text}})
        call = {
            "id": "call_1",
            "type": "function",
            "function": {"name": "send", "arguments": arguments},
        }
        turns = [
            {"role": "user", "content": HARMLESS},
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
        for inputs in [{"tool_calls": [call]}, {"structured_messages": turns}]:
            asked = partial(ask_generic_guardrail, servers.url, [], **inputs)
            if is_blocked:
                error = refusal(litellm.exceptions.GuardrailRaisedException, asked)
                expect(f"{error} names {VIOLATED}", VIOLATED in str(error))
            else:
                asked()


def check_litellm_generic_guardrail_takes_a_threshold(servers: Servers) -> None:
    lenient = {"additional_provider_specific_params": {"threshold": 1.0}}
    passed = ask_generic_guardrail(servers.url, [HARMFUL], **lenient)
    expect_equal("what passes", passed["texts"], [HARMFUL])
    strict = {"additional_provider_specific_params": {"threshold": 0.0001}}
    call = partial(ask_generic_guardrail, servers.url, [HARMLESS], **strict)
    refusal(litellm.exceptions.GuardrailRaisedException, call)


def check_litellm_generic_guardrail_maps_errors(servers: Servers) -> None:
    def message(url: str, text: str, **settings: Any) -> str:
        return str(refusal(Exception, partial(ask_generic_guardrail, url, [text], **settings)))

    fail_open = {"unreachable_fallback": "fail_open"}
    threshold = {"additional_provider_specific_params": {"threshold": 2}}
    expect("a wrong threshold is 400", "400" in message(servers.url, HARMLESS, **threshold))
    # It passes what cannot be reached if it is told to, but not what is refused.
    expect("413 stays closed", "413" in message(servers.tight, LARGER, **fail_open))
    with servers.full_queue():
        expect("503 is closed", "503" in message(servers.tight, LARGE))
    with servers.full_queue():
        passed = ask_generic_guardrail(servers.tight, [LARGE], **fail_open)
    expect_equal("what passes an overload", passed["texts"], [LARGE])


def check_litellm_ibm_guardrail_reads_detections(servers: Servers) -> None:
    guardrail = partial(ask_ibm_guardrail, servers.url)
    error = refusal(Exception, partial(guardrail, HARMFUL))
    expect(f"{error} names {VIOLATED}", VIOLATED.upper() in str(error))
    guardrail(HARMLESS)
    # Its own threshold, on the scores that come back.
    guardrail(HARMFUL, score_threshold=0.999)


def check_litellm_ibm_guardrail_maps_errors(servers: Servers) -> None:
    error = refusal(httpx.HTTPStatusError, partial(ask_ibm_guardrail, servers.tight, LARGER))
    expect_equal("status", error.response.status_code, 413)
    with servers.full_queue():
        error = refusal(httpx.HTTPStatusError, partial(ask_ibm_guardrail, servers.tight, LARGE))
    expect_equal("status", error.response.status_code, 503)


def moderation(url: str, text: str | list[str]) -> dict[str, Any]:
    return {
        "input": text,
        "model": "omni-moderation-latest",
        "api_key": "unused",
        "api_base": f"{url}/v1",
    }


def ask_openai_guardrail(url: str, text: str) -> Any:
    guardrail = OpenAIModerationGuardrail("moderato", api_key="unused", api_base=f"{url}/v1")
    return asyncio.run(guardrail.apply_guardrail({"texts": [text]}, {"metadata": {}}, "request"))


def ask_generic_guardrail(
    url: str,
    texts: list[str],
    structured_messages: list[dict[str, Any]] | None = None,
    model: str | None = None,
    tool_calls: list[dict[str, Any]] | None = None,
    **settings: Any,
) -> Any:
    guardrail = GenericGuardrailAPI(
        api_base=url, guardrail_name="moderato", event_hook="pre_call", **settings
    )
    inputs = {
        "texts": texts,
        "structured_messages": structured_messages,
        "model": model,
        "tool_calls": tool_calls,
    }
    return asyncio.run(guardrail.apply_guardrail(inputs, {"metadata": {}}, "request"))


def ask_ibm_guardrail(url: str, text: str, **settings: Any) -> None:
    guardrail = IBMGuardrailDetector(
        guardrail_name="moderato",
        auth_token="unused",
        base_url=url,
        detector_id="moderato",
        default_on=True,
        event_hook="during_call",
        **settings,
    )
    request = {"messages": [{"role": "user", "content": text}], "metadata": {}}
    asyncio.run(guardrail.async_moderation_hook(request, UserAPIKeyAuth(), "completion"))


def expect_moderations(answer: OpenAIModerationResponse) -> None:
    """Checks the answer to the harmful and the harmless text in LiteLLM's own type."""
    expect_matches("id", answer.id, r"modr-[0-9a-f]{32}")
    expect_equal("flagged", [result.flagged for result in answer.results], [True, False])
    for result in answer.results:
        # It adds the other spellings that OpenAI's client has for its fields.
        categories = {name: result.categories[name] for name in OPENAI}
        scores = {name: result.category_scores[name] for name in OPENAI}
        expect_categories(categories, scores, OPENAI)
    expect_told_apart(*(result.category_scores["violence"] for result in answer.results))
