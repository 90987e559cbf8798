"""Checks a running moderato with the clients that people already use.

    python contracts.py http://127.0.0.1:43121

Every function named `check_*` is one check; it takes the base URL and raises when the
contract is broken. The names of the checks say what is promised.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import traceback
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import litellm
import openai
from litellm.types.llms.openai import OpenAIModerationResponse
from litellm.types.llms.openai import OpenAIModerationResult
from mistralai.client import Mistral
from mistralai.client.errors import MistralError

CATEGORIES = [
    "illegal_activities",
    "csam",
    "ncii",
    "hate_and_discrimination",
    "violence_and_threats",
    "self_harm",
    "fraud_and_scams",
    "misinformation",
    "privacy",
    "professional_advice",
]
TEXTS = [
    "The train to the coast leaves at nine.",
    "Which of these two tents is easier to carry?",
    "She planted beans, und der Regen kam am Abend. 🌱",
]
LOOPBACK = ("127.0.0.1", "::1", "localhost")
# The same text alone and in a batch: other padding, other rounding of f32.
BATCH_TOLERANCE = 1e-5
# The same text twice, alone both times: only the two spellings of a float differ.
TOLERANCE = 1e-6


def main() -> int:
    """Runs every check, prints a line for each, and returns the exit status."""
    url = sys.argv[1].rstrip("/")
    sys.addaudithook(refuse_other_hosts)
    checks = [(name, value) for name, value in globals().items() if name.startswith("check_")]
    outcomes = [run(name, check, url) for name, check in checks]
    return 0 if all(outcomes) else 1


def run(name: str, check: Callable[[str], None], url: str) -> bool:
    """Runs one check and prints its line, `ok` or `FAILED`."""
    title = name.removeprefix("check_").replace("_", " ")
    try:
        check(url)
    except Exception as error:  # whatever a client raises is the finding
        reason = " ".join(str(error).split())[:500]
        last = traceback.extract_tb(error.__traceback__)[-1]
        print(f"FAILED  {title}: {type(error).__name__}: {reason} ({last.name}:{last.lineno})")
        return False
    print(f"ok      {title}", flush=True)
    return True


def refuse_other_hosts(event: str, arguments: tuple[Any, ...]) -> None:
    """Makes any look-up or connection that leaves loopback an error."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if isinstance(host, bytes):
        host = host.decode()
    if host not in LOOPBACK:
        raise PermissionError(f"a client wants to speak to {host}")


# --- openai -----------------------------------------------------------------------------


def check_openai_one_text(url: str) -> None:
    body, answer = ask_openai(url, input=TEXTS[0], model="omni-moderation-latest")
    expect_answer(body, n_results=1)
    expect_equal("type of flagged", type(answer.results[0].flagged), bool)
    for id in CATEGORIES:
        if id != "self_harm":  # has its own check
            score = body["results"][0]["category_scores"][id]
            expect_equal(id, answer.results[0].category_scores.model_extra.get(id), score)


def check_openai_keeps_self_harm(url: str) -> None:
    """The client has a field `self_harm` of its own and fills it from "self-harm" only.

    It drops a key "self_harm" without a word, so the body has to carry both spellings.
    """
    body, answer = ask_openai(url, input=TEXTS[0], model="omni-moderation-latest")
    raw, result = body["results"][0], answer.results[0]
    expect_equal("score", result.category_scores.self_harm, raw["category_scores"]["self_harm"])
    expect_equal("category", result.categories.self_harm, raw["categories"]["self_harm"])
    expect_equal("applied types", result.category_applied_input_types.self_harm, ["text"])


def check_openai_a_list_is_answered_in_order(url: str) -> None:
    texts = [*TEXTS, TEXTS[0]]
    body, _ = ask_openai(url, input=texts, model="omni-moderation-latest")
    expect_answer(body, n_results=len(texts))
    for text, result in zip(texts, body["results"], strict=True):
        alone, _ = ask_openai(url, input=text, model="omni-moderation-latest")
        scores = alone["results"][0]["category_scores"]
        expect_same_scores(result["category_scores"], scores, BATCH_TOLERANCE)


def check_openai_without_model(url: str) -> None:
    body, _ = ask_openai(url, input=TEXTS[1])
    expect_answer(body, n_results=1)


def check_openai_other_model_names(url: str) -> None:
    for model in ["omni-moderation-2024-09-26", "text-moderation-latest", "text-moderation-stable"]:
        body, _ = ask_openai(url, input=TEXTS[1], model=model)
        expect_answer(body, n_results=1)


def check_openai_usage_is_kept(url: str) -> None:
    answer = openai_client(url).moderations.create(input=TEXTS[:2]).to_dict()
    usage = answer["usage"]
    expect("prompt_tokens is above zero", usage["prompt_tokens"] > 0)
    expect_equal("total_tokens", usage["total_tokens"], usage["prompt_tokens"])


def check_openai_request_id(url: str) -> None:
    client = openai_client(url)
    first = client.moderations.create(input=TEXTS[0])
    second = client.moderations.create(input=TEXTS[0])
    expect("x-request-id is there", bool(first._request_id))
    expect("x-request-id is new each time", first._request_id != second._request_id)
    expect("the id is new each time", first.id != second.id)


def check_openai_async(url: str) -> None:
    async def ask() -> list[Any]:
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="unused", max_retries=0
        ) as client:
            calls = [client.moderations.create(input=text) for text in TEXTS]
            return await asyncio.gather(*calls)

    for answer in asyncio.run(ask()):
        expect_matches("id", answer.id, r"modr-[0-9a-f]{32}")
        expect_equal("number of results", len(answer.results), 1)
        expect("it has a score", answer.results[0].category_scores.model_extra["privacy"] >= 0)


def check_openai_empty_text_is_refused(url: str) -> None:
    client = openai_client(url)
    error = refusal(openai.BadRequestError, lambda: client.moderations.create(input=""))
    expect_equal("code", error.code, "empty_text")
    expect_equal("param", error.param, "input")
    expect("the message says something", bool(error.body["message"]))
    expect("x-request-id is there", bool(error.request_id))


def check_openai_empty_text_in_a_list_is_refused(url: str) -> None:
    client = openai_client(url)
    error = refusal(openai.BadRequestError, lambda: client.moderations.create(input=[TEXTS[0], ""]))
    expect_equal("code", error.code, "empty_text")


def check_openai_wrong_type_is_refused(url: str) -> None:
    client = openai_client(url)
    error = refusal(openai.BadRequestError, lambda: client.moderations.create(input=5))
    expect_equal("code", error.code, "invalid_type")


def check_openai_unknown_route(url: str) -> None:
    client = openai_client(url)
    error = refusal(openai.NotFoundError, lambda: client.get("/no-such-route", cast_to=object))
    expect_equal("code", error.code, "not_found")


def check_openai_invalid_timeout_header_is_refused(url: str) -> None:
    client = openai_client(url)
    for value in ["0", "abc"]:
        headers = {"x-request-timeout-ms": value}
        error = refusal(
            openai.BadRequestError,
            partial(client.moderations.create, input=TEXTS[0], extra_headers=headers),
        )
        expect_equal(f"code for {value!r}", error.code, "invalid_header")


def check_openai_valid_timeout_header_is_accepted(url: str) -> None:
    body, _ = ask_openai(url, input=TEXTS[0], extra_headers={"x-request-timeout-ms": "60000"})
    expect_answer(body, n_results=1)


# --- mistralai --------------------------------------------------------------------------


def check_mistral_a_list(url: str) -> None:
    with mistral_client(url) as client:
        answer = client.classifiers.moderate(model="mistral-moderation-latest", inputs=TEXTS)
    expect_mistral_answer(answer, n_results=len(TEXTS))


def check_mistral_one_text(url: str) -> None:
    with mistral_client(url) as client:
        answer = client.classifiers.moderate(model="mistral-moderation-latest", inputs=TEXTS[0])
    expect_mistral_answer(answer, n_results=1)


def check_mistral_async(url: str) -> None:
    async def ask() -> Any:
        async with mistral_client(url) as client:
            return await client.classifiers.moderate_async(
                model="mistral-moderation-latest", inputs=TEXTS
            )

    expect_mistral_answer(asyncio.run(ask()), n_results=len(TEXTS))


def check_mistral_empty_text_is_refused(url: str) -> None:
    with mistral_client(url) as client:
        error = refusal(
            MistralError,
            lambda: client.classifiers.moderate(model="mistral-moderation-latest", inputs=""),
        )
    expect_equal("status", error.status_code, 400)
    expect_equal("code", json.loads(error.body)["error"]["code"], "empty_text")


# --- LiteLLM ----------------------------------------------------------------------------


def check_litellm_types_parse_the_answer(url: str) -> None:
    body = post(url, "/v1/moderations", {"input": TEXTS, "model": "omni-moderation-latest"})
    answer = OpenAIModerationResponse(**body)
    expect_equal("results", len(answer.results), len(TEXTS))
    for raw in body["results"]:
        result = OpenAIModerationResult(**raw)
        expect_equal("scores", list(ours(result.category_scores)), CATEGORIES)


def check_litellm_moderation(url: str) -> None:
    expect_litellm_answer(ask_litellm(url))


def check_litellm_keeps_self_harm(url: str) -> None:
    """LiteLLM asks through the openai client, see `check_openai_keeps_self_harm`."""
    result = ask_litellm(url).results[0]
    expect_equal("type of the score", type(result.category_scores["self_harm"]), float)
    expect_equal("type of the category", type(result.categories["self_harm"]), bool)


def check_litellm_amoderation(url: str) -> None:
    answer = asyncio.run(
        litellm.amoderation(
            input=TEXTS[0],
            model="omni-moderation-latest",
            api_key="unused",
            api_base=f"{url}/v1",
        )
    )
    expect_litellm_answer(answer)


# --- our own routes beside theirs -------------------------------------------------------


def check_score_and_moderations_agree(url: str) -> None:
    for text in TEXTS:
        native = post(url, "/v1/score", {"input": text})["results"][0]
        vendor = post(url, "/v1/moderations", {"input": text})["results"][0]
        decisions = native["categories"]
        scores = {id: decision["score"] for id, decision in decisions.items()}
        expect_same_scores(scores, ours(vendor["category_scores"]), TOLERANCE)
        violated = {id: decision["violated"] for id, decision in decisions.items()}
        expect_equal("categories", ours(vendor["categories"]), violated)
        expect_equal("flagged", vendor["flagged"], native["flagged"])


# --- what the checks stand on -----------------------------------------------------------


def openai_client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="unused", max_retries=0, timeout=60)


def ask_openai(url: str, **request: Any) -> tuple[dict[str, Any], Any]:
    """Asks with the client; returns the body as sent and the client's reading of it."""
    raw = openai_client(url).moderations.with_raw_response.create(**request)
    return json.loads(raw.text), raw.parse()


def ask_litellm(url: str) -> OpenAIModerationResponse:
    return litellm.moderation(
        input=TEXTS[0],
        model="omni-moderation-latest",
        api_key="unused",
        api_base=f"{url}/v1",
    )


def mistral_client(url: str) -> Mistral:
    return Mistral(server_url=url, api_key="unused", timeout_ms=60_000)


def post(url: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Sends JSON without any client and returns the JSON of the answer."""
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as reply:
        return json.load(reply)


def ours(values: dict[str, Any]) -> dict[str, Any]:
    """Leaves out OpenAI's spelling of self_harm, which has to say the same."""
    if "self-harm" in values:
        expect_equal("self-harm", values["self-harm"], values["self_harm"])
    return {id: value for id, value in values.items() if id != "self-harm"}


def refusal(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Returns the error of `kind` that `call` has to raise."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"the server accepted it; expected {kind.__name__}")


def expect_answer(answer: dict[str, Any], n_results: int) -> None:
    """Checks a whole body of POST /v1/moderations."""
    expect_matches("id", answer["id"], r"modr-[0-9a-f]{32}")
    expect_matches("model", answer["model"], r"moderato-small@[0-9a-f]{12}")
    expect_equal("number of results", len(answer["results"]), n_results)
    for result in answer["results"]:
        expect_categories(result["categories"], result["category_scores"])
        expect_equal("flagged", result["flagged"], any(result["categories"].values()))
        applied = ours(result["category_applied_input_types"])
        expect_equal("applied types", applied, {id: ["text"] for id in CATEGORIES})


def expect_mistral_answer(answer: Any, n_results: int) -> None:
    """Checks what mistralai keeps of a body."""
    expect_matches("id", answer.id, r"modr-[0-9a-f]{32}")
    expect_matches("model", answer.model, r"moderato-small@[0-9a-f]{12}")
    expect_equal("number of results", len(answer.results), n_results)
    for result in answer.results:
        expect_categories(result.categories, result.category_scores)


def expect_litellm_answer(answer: OpenAIModerationResponse) -> None:
    """Checks one result in LiteLLM's own type, which adds OpenAI's names with null."""
    expect_matches("id", answer.id, r"modr-[0-9a-f]{32}")
    expect_equal("number of results", len(answer.results), 1)
    result = answer.results[0]
    expect_equal("type of flagged", type(result.flagged), bool)
    for id in CATEGORIES:
        if id != "self_harm":  # has its own check
            expect_category(id, result.categories[id], result.category_scores[id])


def expect_categories(categories: dict[str, Any], scores: dict[str, Any]) -> None:
    """Checks the two maps of one result."""
    expect_equal("ids of categories", list(ours(categories)), CATEGORIES)
    expect_equal("ids of category_scores", list(ours(scores)), CATEGORIES)
    for id in CATEGORIES:
        expect_category(id, categories[id], scores[id])


def expect_category(id: str, category: Any, score: Any) -> None:
    expect_equal(f"type of categories.{id}", type(category), bool)
    expect(f"category_scores.{id} is a number", type(score) in (int, float))
    expect(f"category_scores.{id} is within [0, 1]", 0 <= score <= 1)


def expect_same_scores(left: dict[str, float], right: dict[str, float], tolerance: float) -> None:
    expect_equal("ids", list(left), list(right))
    for id, score in left.items():
        difference = abs(score - right[id])
        expect(f"{id} differs by {difference:.1e}", difference <= tolerance)


def expect_matches(what: str, value: str, pattern: str) -> None:
    expect(f"{what} {value!r} matches {pattern}", re.fullmatch(pattern, value) is not None)


def expect_equal(what: str, found: Any, expected: Any) -> None:
    if found != expected:
        raise AssertionError(f"{what}: found {found!r}, expected {expected!r}")


def expect(what: str, holds: bool) -> None:
    if not holds:
        raise AssertionError(f"not so: {what}")


if __name__ == "__main__":
    sys.exit(main())
