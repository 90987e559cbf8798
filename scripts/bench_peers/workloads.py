"""What the contestants are measured on: random token ids, and texts in a random order."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import dataclass
from pathlib import Path

from everyday import everyday_text
from tokenizers import Tokenizer

SHAPES = ["1x16", "1x128", "32x32", "32x128", "8x512"]  # windows x tokens of each
FIRST_ID, LAST_ID = 1000, 30_000  # of BERT's vocabulary: words and parts of words
CLS, SEP = 101, 102
MAX_TOKENS = 512


@dataclass
class Texts:
    """Texts in arrival order, and their lengths in tokens."""

    origin: str
    texts: list[str]
    lengths: list[int]

    def slice(self, first: int, n_texts: int) -> list[str]:
        """So many, from the first one on; after the last comes the first again."""
        return [self.texts[place % len(self.texts)] for place in range(first, first + n_texts)]

    def described(self) -> str:
        lengths = sorted(self.lengths)
        p95 = lengths[int(0.95 * (len(lengths) - 1))]
        n_long = sum(length > MAX_TOKENS for length in lengths)
        return (
            f"{len(lengths)} {self.origin}, {statistics.median(lengths):.0f} tokens in the middle, "
            f"{statistics.mean(lengths):.0f} on average, 95 % up to {p95}, the longest "
            f"{lengths[-1]}; {n_long} longer than {MAX_TOKENS}"
        )


def shape_of(name: str) -> tuple[int, int]:
    """Windows, and tokens of each."""
    n_windows, n_tokens = name.split("x")
    return int(n_windows), int(n_tokens)


def token_ids(shape: str, seed: int) -> list[list[int]]:
    """Random ids with the special tokens at the ends; a row a window."""
    n_windows, n_tokens = shape_of(shape)
    chance = random.Random(f"{seed} {shape}")
    inner = n_tokens - 2
    return [
        [CLS, *(chance.randrange(FIRST_ID, LAST_ID) for _ in range(inner)), SEP]
        for _ in range(n_windows)
    ]


def load_texts(file: Path | None, seed: int, tokenizer_file: Path) -> Texts:
    """A file's texts, or sentences made here, in random order."""
    chance = random.Random(seed)
    if file:
        lines = (line for line in file.read_text(encoding="utf-8").split("\n") if line.strip())
        texts = [text for line in lines if (text := json.loads(line)["text"]).strip()]
        origin = "texts of the file"
    else:
        texts = [everyday_text(chance) for _ in range(N_MADE)]
        origin = "texts made of everyday sentences"
    chance.shuffle(texts)
    return Texts(origin, texts, lengths_of(texts, tokenizer_file))


def lengths_of(texts: list[str], tokenizer_file: Path) -> list[int]:
    """Tokens, nothing cut off, special tokens included."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts)]


def text_of(n_tokens: int, tokenizer_file: Path) -> str:
    """A text of exactly so many tokens."""
    words = PLAIN_WORDS.split()
    text = " ".join(words[place % len(words)] for place in range(n_tokens - 2))
    assert lengths_of([text], tokenizer_file) == [n_tokens], "each word is one token"
    return text


N_MADE = 1024

# Each one token of BERT's English vocabulary.
PLAIN_WORDS = """\
the weather in the valley was cold last week but today the sun is out again and we will paint
the old boat blue before the summer please tell the children that the train leaves at nine from
the small station they should bring warm coats and a book because the journey takes four hours"""
