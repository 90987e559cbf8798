"""Texts that are nearly those that a model is to be measured with, and so may not train it."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

WORD = re.compile(r"\w+")
SHARE = 0.5  # of a text's word trigrams that it may not have in common with one other text


class Evaluation:
    """Texts to keep out."""

    def __init__(self, texts: Iterable[str]) -> None:
        self.with_trigram: dict[tuple[str, ...], set[int]] = defaultdict(set)
        self.short: set[tuple[str, ...]] = set()
        for place, text in enumerate(texts):
            words = words_of(text)
            self.short.add(words)
            for trigram in trigrams(words):
                self.with_trigram[trigram].add(place)

    def holds(self, text: str) -> bool:
        """Whether half or more of the text's trigrams are in one of these; of a text of fewer than
        three words, whether it is one of them."""
        words = words_of(text)
        found = trigrams(words)
        if not found:
            return words in self.short
        shared = Counter(place for it in found for place in self.with_trigram.get(it, ()))
        return bool(shared) and max(shared.values()) >= SHARE * len(found)


def words_of(text: str) -> tuple[str, ...]:
    """Words in lower case."""
    return tuple(WORD.findall(text.lower()))


def trigrams(words: tuple[str, ...]) -> set[tuple[str, ...]]:
    """Each three words in a row, once."""
    return set(zip(words, words[1:], words[2:], strict=False))
