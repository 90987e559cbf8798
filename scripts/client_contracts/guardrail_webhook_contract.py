"""The guardrail webhook that kgateway and agentgateway call.

The gateways are programs of their own and have no client to install; what they send and read is
written down in the OpenAPI description of the webhook. The messages are read here by models made
from it: https://github.com/solo-io/gloo-gateway-use-cases, gloo-ai-gateway-guardrail-webhook-openapi.yaml.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import TypeAdapter

from categories import VIOLATED
from expect import expect
from expect import expect_equal
from servers import Servers
from servers import ask
from servers import post
from texts import HARMFUL
from texts import HARMLESS
from texts import LARGE
from texts import LARGER
from texts import SURROUNDED
from texts import THREAT


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Message(Strict):
    role: str
    content: str


class Choice(Strict):
    message: Message


class PromptMessages(Strict):
    messages: list[Message]


class ResponseChoices(Strict):
    choices: list[Choice]


class PassAction(Strict):
    reason: str | None = None


class MaskAction(Strict):
    body: PromptMessages | ResponseChoices
    reason: str | None = None


class RejectAction(Strict):
    body: str
    status_code: int
    reason: str | None = None


ACTION: TypeAdapter[MaskAction | RejectAction | PassAction] = TypeAdapter(
    MaskAction | RejectAction | PassAction
)


def check_webhook_passes_what_is_harmless_or_blank(servers: Servers) -> None:
    for texts in [[HARMLESS], ["", HARMLESS], [" "]]:
        for path, body in [("/request", prompt(texts)), ("/response", response(texts))]:
            action = decide(servers.url, path, body)
            expect(f"{path} passes {texts!r}", isinstance(action, PassAction))


def check_webhook_rejects_a_prompt(servers: Servers) -> None:
    action = decide(servers.url, "/request", prompt([HARMLESS, HARMFUL]))
    assert isinstance(action, RejectAction), action
    expect_equal("status", action.status_code, 403)
    expect(f"{action.body!r} names {VIOLATED}", VIOLATED in action.body)


def check_webhook_masks_the_part_of_a_response_that_violates(servers: Servers) -> None:
    action = decide(servers.url, "/response", response([HARMLESS, SURROUNDED]))
    assert isinstance(action, MaskAction), action
    assert isinstance(action.body, ResponseChoices), action
    contents = [choice.message.content for choice in action.body.choices]
    expect_equal("the harmless choice", contents[0], HARMLESS)
    expect("the threat is gone", THREAT not in contents[1])
    expect("what stands before it is left", contents[1].startswith(HARMLESS))


def check_webhook_takes_the_action_from_a_header(servers: Servers) -> None:
    reject = {"x-moderato-on-violation": "reject"}
    action = decide(servers.url, "/response", response([HARMFUL]), reject)
    expect("a response is rejected", isinstance(action, RejectAction))
    mask = {"x-moderato-on-violation": "mask"}
    action = decide(servers.url, "/request", prompt([HARMFUL]), mask)
    expect("a prompt is masked", isinstance(action, MaskAction))


def check_webhook_maps_errors(servers: Servers) -> None:
    for body in [{}, {"body": {}}, {"body": {"messages": 7}}, []]:
        reply = post(servers.url, "/request", body)
        expect_equal("status", reply.status, 422)
        expect("detail is a list", isinstance(reply.body["detail"], list))
    expect_equal("status", post(servers.tight, "/request", prompt([LARGER])).status, 413)
    with servers.full_queue():
        expect_equal("status", post(servers.tight, "/request", prompt([LARGE])).status, 503)


def prompt(texts: list[str]) -> dict[str, Any]:
    return {"body": {"messages": [{"role": "user", "content": text} for text in texts]}}


def response(texts: list[str]) -> dict[str, Any]:
    messages = [{"role": "assistant", "content": text} for text in texts]
    return {"body": {"choices": [{"message": message} for message in messages]}}


def decide(
    url: str, path: str, body: Any, headers: dict[str, str] | None = None
) -> MaskAction | RejectAction | PassAction:
    answer = ask(url, path, body, headers)
    expect_equal("keys", list(answer), ["action"])
    return ACTION.validate_python(answer["action"])
