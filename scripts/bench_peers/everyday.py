"""Everyday sentences of typical lengths, for measurements that were given no texts."""

from __future__ import annotations

import random


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
