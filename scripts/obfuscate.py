#!/usr/bin/env python3
"""Disguises the texts of JSON lines, to see how well the disguises are undone.

Reads objects with a field "text" from stdin or a file, and writes them with the text rewritten and
the other fields kept. The same seed gives the same texts.
"""

import argparse
import json
import random
import re
import sys

ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
LOOK_ALIKES = {
    "a": "\u0430\u03b1", "c": "\u0441\u03f2", "d": "\u0501", "e": "\u0435", "h": "\u04bb",
    "i": "\u0456\u03b9", "j": "\u0458\u03f3", "k": "\u043a\u03ba", "o": "\u043e\u03bf",
    "p": "\u0440\u03c1", "q": "\u051b", "s": "\u0455", "u": "\u03c5", "v": "\u03bd",
    "w": "\u051d", "x": "\u0445\u03c7", "y": "\u0443\u03b3",
    "A": "\u0410\u0391", "B": "\u0412\u0392", "C": "\u0421\u03f9", "E": "\u0415\u0395",
    "H": "\u041d\u0397", "I": "\u0406\u0399", "J": "\u0408", "K": "\u041a\u039a",
    "M": "\u041c\u039c", "N": "\u039d", "O": "\u041e\u039f", "P": "\u0420\u03a1",
    "S": "\u0405", "T": "\u0422\u03a4", "X": "\u0425\u03a7", "Y": "\u03a5", "Z": "\u0396",
}
LEET = {"a": "4@", "e": "3", "i": "1!", "o": "0", "s": "5$", "t": "7", "b": "8"}
LEET_MIN_LETTERS = 4


def words_replaced(text, disguise):
    """The text with each of its words of letters passed through a function."""
    return re.sub(r"[^\W\d_]+", lambda match: disguise(match.group()), text)


def zero_width(text, rng):
    """Puts an invisible character after every one to three letters of each word."""

    def disguise(word):
        parts = []
        while word:
            n_letters = rng.randint(1, 3)
            parts.append(word[:n_letters])
            word = word[n_letters:]
        return "".join(part if last else part + rng.choice(ZERO_WIDTH)
                       for last, part in zip([False] * (len(parts) - 1) + [True], parts))

    return words_replaced(text, disguise)


def homoglyphs(text, rng):
    """Replaces about half of the letters that have look-alikes."""
    return "".join(rng.choice(LOOK_ALIKES[letter])
                   if letter in LOOK_ALIKES and rng.random() < 0.5 else letter for letter in text)


def leet(text, rng):
    """Replaces half to all of some letters in the words that are not too short."""
    share = rng.uniform(0.5, 1.0)

    def disguise(word):
        if len(word) < LEET_MIN_LETTERS:
            return word
        letters = [rng.choice(LEET[letter]) if letter in LEET and rng.random() < share else letter
                   for letter in word.lower()]
        # A mark of exclamation at the end of a word is read as one.
        return "".join(letters[:-1]) + letters[-1].replace("!", "1")

    return words_replaced(text, disguise)


def spacing(text, rng):
    """Puts a space between the letters, and two or three between the words."""
    gap = " " * rng.randint(2, 3)
    lines = (gap.join(" ".join(word) for word in line.split()) for line in text.split("\n"))
    return "\n".join(lines)


def marker(mark):
    """A disguise that puts the same mark between all words."""

    def disguise(text, _rng):
        return re.sub(r"(?<=\S)(?=\s+\S)", " " + mark, text)

    return disguise


DISGUISES = {
    "zero-width": zero_width, "homoglyphs": homoglyphs, "leet": leet, "spacing": spacing,
    "mask": marker("[MASK]"), "separator": marker("[SEP]"), "end-of-text": marker("</s>"),
    "brackets": marker("[x]"), "number-signs": marker("##"), "bars": marker("|"),
}


def parse_arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("file", nargs="?", type=argparse.FileType(encoding="utf-8"),
                        default=sys.stdin, help="JSON lines with a field text (default: stdin)")
    parser.add_argument("--disguise", required=True, choices=sorted(DISGUISES))
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser.parse_args()


def main():
    """Disguises every line."""
    arguments = parse_arguments()
    rng = random.Random(arguments.seed)
    for line in arguments.file:
        row = json.loads(line)
        row["text"] = DISGUISES[arguments.disguise](row["text"], rng)
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    main()
