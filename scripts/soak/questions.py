"""What the clients ask: the same texts through several contracts, single and in batches."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from everyday import everyday_text

NAME = "moderato-small"  # of every model folder; the Open Inference Protocol asks by it
N_QUESTIONS = 400
SHARE_OF_BATCHES = 0.12
LARGEST_BATCH = 16


@dataclass
class Question:
    """A request; its place in the list names it."""

    path: str
    content: Any
    n_texts: int
    body: bytes = b""
    n_tokens: int = 0  # known once it has been answered for reference

    def __post_init__(self) -> None:
        self.body = json.dumps(self.content).encode()


def score(texts: list[str]) -> Question:
    return Question("/v1/score", {"input": single(texts)}, len(texts))


def moderations(texts: list[str]) -> Question:
    return Question("/v1/moderations", {"input": single(texts)}, len(texts))


def openai(texts: list[str]) -> Question:
    content = {"model": "omni-moderation-latest", "input": single(texts)}
    return Question("/v1/moderations", content, len(texts))


def chat(texts: list[str]) -> Question:
    turns = [[{"role": "user", "content": text}] for text in texts]
    return Question("/v1/chat/moderations", {"input": single(turns)}, len(texts))


def predict(texts: list[str]) -> Question:
    inputs = texts[0] if len(texts) == 1 else [[text] for text in texts]
    return Question("/predict", {"inputs": inputs}, len(texts))


def classify(texts: list[str]) -> Question:
    return Question("/classify", {"input": single(texts)}, len(texts))


def infer(texts: list[str]) -> Question:
    tensor = {"name": "text", "shape": [len(texts)], "datatype": "BYTES", "data": texts}
    return Question(f"/v2/models/{NAME}/infer", {"inputs": [tensor]}, len(texts))


def single(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values


CONTRACTS: list[Callable[[list[str]], Question]] = [
    score,
    score,
    moderations,
    openai,
    chat,
    predict,
    classify,
    infer,
]


def mixed(chance: random.Random) -> list[Question]:
    """All contracts, mostly one text, everyday lengths."""
    questions = []
    for _ in range(N_QUESTIONS):
        n_texts = chance.randint(2, LARGEST_BATCH) if chance.random() < SHARE_OF_BATCHES else 1
        texts = [everyday_text(chance) for _ in range(n_texts)]
        questions.append(chance.choice(CONTRACTS)(texts))
    return questions


def of_size(chance: random.Random, n_texts: int, n_questions: int = 50) -> list[Question]:
    """`POST /v1/score` with so many texts each."""
    texts = [[everyday_text(chance) for _ in range(n_texts)] for _ in range(n_questions)]
    return [score(each) for each in texts]
