"""What each model and policy must answer, computed before the load by `moderato batch`."""

from __future__ import annotations

import json
import math
import subprocess
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

from questions import Question
from questions import score

CHANGING = ("id", "created")  # differ from answer to answer


@dataclass(frozen=True)
class Pair:
    """What an answer is made by."""

    model: str
    policy: str


@dataclass
class Reference:
    """The answer to each question, by pair."""

    tolerance: float
    answers: dict[Pair, list[Any]] = field(default_factory=dict)
    largest_difference: float = 0.0

    def learn(self, command: list[str], questions: list[Question], work: Path) -> Pair:
        """Has all questions answered with these options; tells by what."""
        bodies = [(question.path, question.content) for question in questions]
        # One more, whose answer names both.
        bodies.append(("/v1/score", score(["Good morning!"]).content))
        file = work / "requests.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            for place, (path, content) in enumerate(bodies):
                line = {"custom_id": str(place), "method": "POST", "url": path, "body": content}
                lines.write(json.dumps(line) + "\n")
        command = [command[0], "batch", "--input", str(file), *command[1:]]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        responses = [json.loads(line)["response"] for line in output.splitlines()]
        faulty = next((each for each in responses if each["status_code"] != 200), None)
        if faulty:
            raise RuntimeError(f"no reference: {faulty['body']}")
        *answers, named = (settled(response["body"]) for response in responses)
        pair = Pair(named["model"], named["policy"])
        self.answers[pair] = answers
        return pair

    def judge(self, place: int, body: bytes, allowed: list[Pair]) -> str | None:
        """What is wrong with an answer; nothing if one of these pairs gives it."""
        try:
            answer = settled(json.loads(body))
        except ValueError:
            return "no JSON"
        expected = [self.answers[pair][place] for pair in allowed]
        if answer in expected:
            return None
        named = model_of(answer)
        if named and named not in {model_of(each) for each in expected}:
            return f"by {named}, which did not serve"
        least = min(difference(answer, each) for each in expected)
        if least <= self.tolerance:
            self.largest_difference = max(self.largest_difference, least)
            return None
        return f"differs by {least}"


def settled(answer: Any) -> Any:
    """Without what differs each time; labels that come sorted by score as a map."""
    if isinstance(answer, dict):
        for name in CHANGING:
            answer.pop(name, None)
        return answer
    if answer and isinstance(answer[0], dict):
        return {each["label"]: each["score"] for each in answer}
    return [settled(each) for each in answer]


def model_of(answer: Any) -> str | None:
    if not isinstance(answer, dict):
        return None
    if "model_name" in answer:
        return f"{answer['model_name']}@{answer['model_version']}"
    return answer.get("model")


def difference(found: Any, expected: Any) -> float:
    """The largest of two numbers at the same place; infinite if anything else differs."""
    if isinstance(found, float) and isinstance(expected, float):
        return abs(found - expected) if math.isfinite(found) else math.inf
    if isinstance(found, dict) and isinstance(expected, dict):
        if found.keys() != expected.keys():
            return math.inf
        return max((difference(found[name], expected[name]) for name in found), default=0.0)
    if isinstance(found, list) and isinstance(expected, list):
        if len(found) != len(expected):
            return math.inf
        return max(map(difference, found, expected), default=0.0)
    return 0.0 if found == expected else math.inf


def count_tokens(command: list[str], questions: list[Question], work: Path) -> None:
    """Fills in how many tokens each question costs."""
    reference = Reference(0.0)
    texts = [score(texts_of(question)) for question in questions]
    pair = reference.learn(command, texts, work)
    for question, answer in zip(questions, reference.answers[pair], strict=True):
        question.n_tokens = answer["usage"]["n_tokens"]


def texts_of(question: Question) -> list[str]:
    """The texts within, in whatever contract."""

    def strings(value: Any) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, list):
            return [text for each in value for text in strings(each)]
        return strings(value.get("content") or value.get("data") or [])

    return strings(question.content.get("input") or question.content["inputs"])
