"""What the contestants are measured on: random token ids, and texts in a random order."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import dataclass
from pathlib import Path

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


def everyday_text(chance: random.Random) -> str:
    """One message: mostly a sentence or two, sometimes a letter, rarely pages.

    Two lognormal distributions of words, fitted to the lengths of real messages to a chat and a
    comment section: 15 tokens in the lower quarter, 22 in the middle, 58 in the upper quarter,
    180 at 90 %, 310 at 95 %, one in fifty above 512.
    """
    if chance.random() < 0.7:
        n_words = chance.lognormvariate(2.65, 0.45)
    else:
        n_words = chance.lognormvariate(4.6, 0.95)
    n_words = min(max(round(n_words), 2), 1200)
    words: list[str] = []
    while len(words) < n_words:
        words += sentence(chance).split()
    return " ".join(words[:n_words])


def sentence(chance: random.Random) -> str:
    """A subject, what it does and with what, perhaps where, when and why."""
    pick = chance.choice
    parts = [pick(SUBJECTS), pick(DEEDS), pick(THINGS)]
    parts += [pick(PLACES)] * (chance.random() < 0.6)
    parts += [pick(TIMES)] * (chance.random() < 0.6)
    parts += [pick(REASONS).format(count=chance.randint(2, 90))] * (chance.random() < 0.4)
    text = " ".join(parts) + pick([".", ".", ".", "!", "", " :)"])
    return text[0].upper() + text[1:] if chance.random() < 0.7 else text


N_MADE = 1024

SUBJECTS = """\
my sister|the neighbours|our new teacher|the man from the bakery|everyone at work|I|we|grandmother
a friend of mine|the children|my old colleague|the gardener upstairs|two of the cyclists|nobody
the librarian|her cousin Anna|the band|someone from the choir|the plumber|you and I""".replace(
    "\n", "|"
).split("|")

DEEDS = """\
wants to repair|has finally painted|is looking for|forgot to bring|would love to see|brought along
keeps talking about|sold|is learning to bake|can't find|borrowed|really enjoyed|photographed
is going to plant|recommended|ordered online|left behind|carried home|wrote a long letter about
tasted""".replace("\n", "|").split("|")

THINGS = """\
the blue bicycle|a loaf of rye bread|the tomato seedlings|an umbrella|three library books|the piano
a wooden chair|the kitchen lamp|homemade apricot jam|the train tickets|an old map of the valley
the football shoes|a pot of lentil soup|the recipe with cinnamon|a new keyboard|the photo album
the shopping list|some cheddar|the telescope|a birthday card""".replace("\n", "|").split("|")

PLACES = """\
at the station|in the garden behind the house|near the lake|on the third floor|at the market
in a small village|by the window|at the swimming pool|in the cellar|on the way to Lisbon
next to the post office|under the chestnut tree""".replace("\n", "|").split("|")

TIMES = """\
yesterday evening|before breakfast|last Tuesday|every other weekend|after the concert
when it stopped raining|in early spring|at half past seven|since the holidays|tomorrow, I think
during the lunch break|a few years ago""".replace("\n", "|").split("|")

REASONS = """\
because {count} guests are coming|although it cost only {count} euros|which took {count} minutes
and it turned out wonderfully|but the weather did not care|so thanks again for your help
while the cat slept on the sofa|since page {count} says so|and we laughed a lot
even though it is {count} kilometres away""".replace("\n", "|").split("|")

# Each one token of BERT's English vocabulary.
PLAIN_WORDS = """\
the weather in the valley was cold last week but today the sun is out again and we will paint
the old boat blue before the summer please tell the children that the train leaves at nine from
the small station they should bring warm coats and a book because the journey takes four hours"""
