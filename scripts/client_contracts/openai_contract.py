"""OpenAI's client for Python, sync and async."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import openai

from categories import CATEGORIES
from categories import NAMES_OF_MODELS
from categories import OPENAI
from expect import expect
from expect import expect_equal
from expect import expect_matches
from expect import expect_same_scores
from expect import expect_told_apart
from expect import refusal
from moderation import expect_answer
from servers import Servers
from texts import BATCH_TOLERANCE
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER
from texts import TEXTS
from texts import TOLERANCE


def check_openai_tells_harmful_from_harmless(servers: Servers) -> None:
    body, answer = ask(servers.url, input=[HARMFUL, HARMLESS], model="omni-moderation-latest")
    expect_answer(body, n_results=2, names=OPENAI)
    expect_openai_reading(answer)


def check_openai_reads_all_of_its_thirteen_categories(servers: Servers) -> None:
    body, answer = ask(servers.url, input=HARMFUL, model="omni-moderation-latest")
    for part in ["categories", "category_scores", "category_applied_input_types"]:
        read = getattr(answer.results[0], part)
        fields = type(read).model_fields.items()
        values = {field.alias or name: getattr(read, name) for name, field in fields}
        expect_equal(part, values, body["results"][0][part])
        expect_equal(f"names of {part}", sorted(values), sorted(OPENAI))


def check_openai_names_follow_the_model(servers: Servers) -> None:
    for model, names in NAMES_OF_MODELS.items():
        body, _ = ask(servers.url, input=HARMFUL, model=model)
        expect_answer(body, n_results=1, names=names)


def check_openai_without_model(servers: Servers) -> None:
    body, answer = ask(servers.url, input=TEXTS[1])
    expect_answer(body, n_results=1)
    for id in CATEGORIES:
        if id != "self_harm":  # has its own check
            score = body["results"][0]["category_scores"][id]
            expect_equal(id, answer.results[0].category_scores.model_extra.get(id), score)


def check_openai_keeps_our_self_harm(servers: Servers) -> None:
    body, answer = ask(servers.url, input=TEXTS[0])
    raw, result = body["results"][0], answer.results[0]
    expect_equal("score", result.category_scores.self_harm, raw["category_scores"]["self_harm"])
    expect_equal("category", result.categories.self_harm, raw["categories"]["self_harm"])
    expect_equal("applied types", result.category_applied_input_types.self_harm, ["text"])


def check_openai_a_list_is_answered_in_order(servers: Servers) -> None:
    texts = [*TEXTS, TEXTS[0]]
    body, _ = ask(servers.url, input=texts, model="omni-moderation-latest")
    expect_answer(body, n_results=len(texts), names=OPENAI)
    for text, result in zip(texts, body["results"], strict=True):
        alone, _ = ask(servers.url, input=text, model="omni-moderation-latest")
        scores = alone["results"][0]["category_scores"]
        expect_same_scores(result["category_scores"], scores, BATCH_TOLERANCE)


def check_openai_parts_are_one_text(servers: Servers) -> None:
    parts = [{"type": "text", "text": text} for text in [HARMLESS, HARMFUL]]
    body, _ = ask(servers.url, input=parts, model="omni-moderation-latest")
    expect_answer(body, n_results=1, names=OPENAI)
    joined, _ = ask(servers.url, input=f"{HARMLESS}\n{HARMFUL}", model="omni-moderation-latest")
    found, expected = (answer["results"][0]["category_scores"] for answer in [body, joined])
    expect_same_scores(found, expected, TOLERANCE)


def check_openai_an_image_is_refused(servers: Servers) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    parts = [{"type": "text", "text": HARMLESS}, image]
    error = refused(servers.url, openai.BadRequestError, input=parts)
    expect_equal("code", error.code, "unsupported_input")
    expect_equal("param", error.param, "input[1]")


def check_openai_usage_is_kept(servers: Servers) -> None:
    answer = client(servers.url).moderations.create(input=TEXTS[:2]).to_dict()
    usage = answer["usage"]
    expect("prompt_tokens is above zero", usage["prompt_tokens"] > 0)
    expect_equal("total_tokens", usage["total_tokens"], usage["prompt_tokens"])


def check_openai_request_id(servers: Servers) -> None:
    first = client(servers.url).moderations.create(input=TEXTS[0])
    second = client(servers.url).moderations.create(input=TEXTS[0])
    expect("x-request-id is there", bool(first._request_id))
    expect("x-request-id is new each time", first._request_id != second._request_id)
    expect("the id is new each time", first.id != second.id)


def check_openai_blank_text_scores_zero(servers: Servers) -> None:
    for text in ["", " ", [TEXTS[0], ""]]:
        body, answer = ask(servers.url, input=text, model="omni-moderation-latest")
        expect_equal("flagged", answer.results[-1].flagged, False)
        scores = body["results"][-1]["category_scores"]
        expect_equal("scores", scores, {name: 0 for name in OPENAI})


def check_openai_empty_list_is_refused(servers: Servers) -> None:
    error = refused(servers.url, openai.BadRequestError, input=[])
    expect_equal("code", error.code, "no_texts")
    expect("the message says something", bool(error.body["message"]))
    expect("x-request-id is there", bool(error.request_id))


def check_openai_wrong_type_is_refused(servers: Servers) -> None:
    error = refused(servers.url, openai.BadRequestError, input=5)
    expect_equal("code", error.code, "invalid_type")


def check_openai_unknown_route(servers: Servers) -> None:
    get = partial(client(servers.url).get, "/no-such-route", cast_to=object)
    expect_equal("code", refusal(openai.NotFoundError, get).code, "not_found")


def check_openai_invalid_timeout_header_is_refused(servers: Servers) -> None:
    for value in ["0", "abc"]:
        headers = {"x-request-timeout-ms": value}
        kind = openai.BadRequestError
        error = refused(servers.url, kind, input=TEXTS[0], extra_headers=headers)
        expect_equal(f"code for {value!r}", error.code, "invalid_header")


def check_openai_valid_timeout_header_is_accepted(servers: Servers) -> None:
    body, _ = ask(servers.url, input=TEXTS[0], extra_headers={"x-request-timeout-ms": "60000"})
    expect_answer(body, n_results=1)


def check_openai_too_large_a_body_is_413(servers: Servers) -> None:
    expect_too_large(refused(servers.tight, openai.APIStatusError, input=LARGER))


def check_openai_a_full_queue_is_503(servers: Servers) -> None:
    with servers.full_queue():
        expect_overloaded(refused(servers.tight, openai.InternalServerError, input=LARGE))


def check_openai_async_tells_harmful_from_harmless(servers: Servers) -> None:
    async def moderate() -> list[Any]:
        async with async_client(servers.url) as client:
            create = partial(client.moderations.create, model="omni-moderation-latest")
            return await asyncio.gather(
                create(input=[HARMFUL, HARMLESS]), *(create(input=text) for text in TEXTS)
            )

    answers = asyncio.run(moderate())
    expect_openai_reading(answers[0])
    for answer in answers:
        expect_matches("id", answer.id, r"modr-[0-9a-f]{32}")
    expect_equal("numbers of results", [len(answer.results) for answer in answers], [2, 1, 1, 1])


def check_openai_async_maps_errors(servers: Servers) -> None:
    empty = refusal(openai.BadRequestError, partial(moderate_async, servers.url, []))
    expect_equal("code", empty.code, "no_texts")
    too_large = refusal(openai.APIStatusError, partial(moderate_async, servers.tight, LARGER))
    expect_too_large(too_large)
    with servers.full_queue():
        overloaded = partial(moderate_async, servers.tight, LARGE)
        expect_overloaded(refusal(openai.InternalServerError, overloaded))


def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)


def async_client(url: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)


def ask(url: str, **request: Any) -> tuple[dict[str, Any], Any]:
    """Asks with the client; returns the body as sent and the client's reading of it."""
    raw = client(url).moderations.with_raw_response.create(**request)
    return json.loads(raw.text), raw.parse()


def moderate_async(url: str, text: str) -> Any:
    async def moderate() -> Any:
        async with async_client(url) as client:
            return await client.moderations.create(input=text)

    return asyncio.run(moderate())


def refused(url: str, kind: type[Exception], **request: Any) -> Any:
    return refusal(kind, partial(client(url).moderations.create, **request))


def expect_openai_reading(answer: Any) -> None:
    """Checks what a client made of the answer to the harmful and the harmless text."""
    harmful, harmless = answer.results
    expect_told_apart(harmful.category_scores.violence, harmless.category_scores.violence)
    expect_equal("flagged", [harmful.flagged, harmless.flagged], [True, False])
    violated = [result.categories.violence for result in answer.results]
    expect_equal("categories.violence", violated, [True, False])


def expect_too_large(error: openai.APIStatusError) -> None:
    expect_equal("status and code", (error.status_code, error.code), (413, "body_too_large"))


def expect_overloaded(error: openai.APIStatusError) -> None:
    found = (error.status_code, error.code, error.type)
    expect_equal("error", found, (503, "server_is_overloaded", "overloaded_error"))
    expect_matches("retry-after", error.response.headers.get("retry-after", ""), r"[1-9]\d?")
