"""Makes the tiny random model and the reference numbers that the tests compare with.

    python3 -m venv /tmp/venv-golden
    /tmp/venv-golden/bin/pip install -r scripts/requirements-golden.txt
    /tmp/venv-golden/bin/python scripts/make_golden.py

Writes tests/fixtures/tiny-bert/ (a Hugging Face folder), tests/golden/texts.jsonl, and for each of
the two models what transformers says about these texts: tests/golden/tiny-bert.jsonl and
tests/golden/moderato-small.jsonl. Running it again on the same machine gives the same files; on
another the last digits of the logits may differ.

A line of reference numbers is {"id", "n_tokens", "windows": [{"start_byte", "end_byte", "ids",
"logits"}]}: bytes are offsets into the UTF-8 of the text, logits are from f32 arithmetic, one
window at a time, before any activation.
"""

import argparse
import itertools
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification

ROOT = Path(__file__).resolve().parent.parent
TINY = ROOT / "tests" / "fixtures" / "tiny-bert"
GOLDEN = ROOT / "tests" / "golden"

OVERLAP = 64  # tokens that neighbouring windows share: the default of the service
SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]  # ids 0 to 4
VOCAB_SIZE = 512
TINY_MAX_TOKENS = 128
LABELS = ["spam", "insult", "threat", "leak"]
SEED = 20

Json = dict[str, object]


def main() -> None:
    """Makes all files, the model first, since some texts are cut to its tokens."""
    arguments = parse_arguments()
    torch.set_num_threads(1)  # the order of a sum must not depend on the machine's cores
    small_tokenizer = read_tokenizer(arguments.small)
    texts = SHORT_TEXTS | texts_of_tokens(small_tokenizer, "small", SMALL_LENGTHS)
    make_tiny_tokenizer([*SENTENCES, *SHORT_TEXTS.values()])
    make_tiny_model()
    tiny_tokenizer = read_tokenizer(TINY)
    texts |= texts_of_tokens(tiny_tokenizer, "tiny", TINY_LENGTHS)

    GOLDEN.mkdir(parents=True, exist_ok=True)
    write_lines("texts", ({"id": name, "text": text} for name, text in texts.items()))
    write_lines("tiny-bert", references(TINY, texts))
    write_lines("moderato-small", references(arguments.small, texts))


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--small",
        type=Path,
        metavar="PATH",
        default=ROOT / "models" / "moderato-small",
        help="folder of the model moderato-small (default: models/moderato-small)",
    )
    return parser.parse_args()


def write_lines(name: str, rows: Iterable[Json]) -> None:
    """Writes JSON lines in ASCII, so that invisible characters can be seen in a diff."""
    lines = [json.dumps(row, separators=(",", ":")) + "\n" for row in rows]
    (GOLDEN / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


# The reference.


def references(folder: Path, texts: dict[str, str]) -> Iterator[Json]:
    """Yields what the model in the folder says about each text."""
    tokenizer = read_tokenizer(folder)
    model = BertForSequenceClassification.from_pretrained(folder, attn_implementation="eager")
    model = model.float().eval()
    for name, text in texts.items():
        tokens = tokenizer.encode(text, add_special_tokens=False)
        windows = [
            {
                "start_byte": n_bytes(text, tokens.offsets[start][0]) if tokens.ids else 0,
                "end_byte": n_bytes(text, tokens.offsets[end - 1][1]) if tokens.ids else 0,
                "ids": (ids := framed(tokenizer, tokens.ids[start:end])),
                "logits": logits(model, ids),
            }
            for start, end in cut(len(tokens), model.config.max_position_embeddings - 2)
        ]
        yield {"id": name, "n_tokens": len(tokens) + 2, "windows": windows}


def read_tokenizer(folder: Path) -> Tokenizer:
    """Reads tokenizer.json; whatever it says, nothing is truncated or padded.

    Names of control tokens are read as text, as by transformers with split_special_tokens.
    """
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer


def cut(n_tokens: int, capacity: int) -> Iterator[tuple[int, int]]:
    """Yields the windows over the content tokens; the first to reach the end is the last."""
    for start in itertools.count(0, capacity - OVERLAP):
        end = min(start + capacity, n_tokens)
        yield start, end
        if end == n_tokens:
            return


def n_bytes(text: str, n_characters: int) -> int:
    """Turns an offset in characters, as Python's tokenizers has them, into one in bytes."""
    return len(text[:n_characters].encode())


def framed(tokenizer: Tokenizer, content: list[int]) -> list[int]:
    """Puts the special tokens around a window."""
    return [tokenizer.token_to_id("[CLS]"), *content, tokenizer.token_to_id("[SEP]")]


@torch.inference_mode()
def logits(model: BertForSequenceClassification, ids: list[int]) -> list[float]:
    """Scores one window."""
    output = model(input_ids=torch.tensor([ids]))
    return [round(logit, 6) for logit in output.logits[0].tolist()]


# The tiny model.


def make_tiny_tokenizer(corpus: list[str]) -> None:
    """Trains an uncased WordPiece on the ASCII part; the rest of the texts meets [UNK]."""
    corpus = [text for text in corpus if text.isascii()]
    characters = sorted({mark for text in corpus for mark in text.lower() if mark.isprintable()})
    continuations = [f"##{mark}" for mark in characters if mark != " "]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    # Named in advance, since the trainer numbers continuations in the order of a hash map and
    # breaks ties by number: every run would give another vocabulary.
    trainer = trainers.WordPieceTrainer(
        vocab_size=VOCAB_SIZE,
        special_tokens=SPECIAL_TOKENS + continuations,
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)

    trained = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token="[UNK]"))
    trained.normalizer = tokenizer.normalizer
    trained.pre_tokenizer = tokenizer.pre_tokenizer
    trained.add_special_tokens(SPECIAL_TOKENS)
    trained.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, trained.token_to_id(name)) for name in ("[CLS]", "[SEP]")],
    )
    TINY.mkdir(parents=True, exist_ok=True)
    trained.save(str(TINY / "tokenizer.json"))


def make_tiny_model() -> None:
    """Writes the rest of the folder."""
    config = BertConfig(
        vocab_size=read_tokenizer(TINY).get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=TINY_MAX_TOKENS,
        hidden_act="gelu",
        layer_norm_eps=1e-12,
        type_vocab_size=2,
        problem_type="multi_label_classification",
        id2label=dict(enumerate(LABELS)),
        label2id={label: col for col, label in enumerate(LABELS)},
    )
    model = BertForSequenceClassification(config)
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(random_weights(name, parameter.shape, generator))
    model.save_pretrained(TINY)
    (TINY / "model.safetensors").chmod(0o644)  # saved for its owner alone
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": TINY_MAX_TOKENS,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    (TINY / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (TINY / "README.md").write_text(TINY_README)


def random_weights(name: str, shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Draws weights that F32, F16 and BF16 hold exactly, none of them zero.

    They are multiples of 2^-7 below 2: BF16 has 8 significant bits.
    """
    centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
    deviation = 0.25 if len(shape) > 1 else 0.125
    weights = centre + deviation * torch.randn(shape, generator=generator)
    steps = (weights * 128).round().clamp(-255, 255)
    return steps.where(steps != 0, torch.ones_like(steps)) / 128


TINY_README = """# tiny-bert

A BertForSequenceClassification with random weights, for tests: small enough to load in every one
of them, and large enough in its numbers that a wrong operation shows. It knows nothing of spam.

Every weight is a multiple of 2^-7 below 2, so F32, F16 and BF16 hold it exactly. Made by
`scripts/make_golden.py`, as are the reference logits in `tests/golden/tiny-bert.jsonl`.
"""


# The texts, all written for this purpose.


def texts_of_tokens(tokenizer: Tokenizer, model: str, lengths: list[int]) -> dict[str, str]:
    """Composes texts of exactly so many content tokens of the tokenizer."""
    return {f"{model}-{length}": text_of_tokens(tokenizer, length) for length in lengths}


def text_of_tokens(tokenizer: Tokenizer, length: int) -> str:
    """Composes a text of sentences in an order of its own, then of single words."""
    order = random.Random(length)
    pieces: list[str] = []
    missing = length
    while missing:
        shuffled = order.sample(SENTENCES, len(SENTENCES)) + order.sample(WORDS, len(WORDS))
        for piece in shuffled:
            n_tokens = len(tokenizer.encode(piece, add_special_tokens=False))
            if n_tokens <= missing:
                pieces.append(piece)
                missing -= n_tokens
    text = " ".join(pieces)
    assert len(tokenizer.encode(text, add_special_tokens=False)) == length
    return text


# 510 content tokens fill a window of moderato-small, 956 two and 1,402 three; one token more
# begins the next.
SMALL_LENGTHS = [96, 254, 509, 510, 511, 512, 513, 520, 956, 957, 1230, 1402, 1403]
# The same for 126, 188 and 250 and the tiny model.
TINY_LENGTHS = [125, 126, 127, 188, 189, 251]

SHORT_TEXTS = {
    "one-word": "hello",
    "one-mark": "?",
    "small-talk": "Good morning! Did you sleep well, or did the cat wake you up again?",
    "recipe": "Whisk two eggs with a spoon of sugar, fold in the flour and bake for 25 minutes.",
    "question": "how do i change the language of the menu, it is all in finnish now",
    "mildly-rude": "That was a silly thing to say, and you know it. Think before you type.",
    "grumpy": "Worst update ever. Who approved this ugly button? Give me the old one back!",
    "parcel": "Your parcel is waiting! Confirm your address at http://parcel.example/confirm "
    "within 24 hours or it goes back to the sender.",
    "prize": "CONGRATULATIONS, you won a FREE toaster!!! Reply WIN to claim it $$$",
    "bank": "Dear customer, your card payment of EUR 42.50 to Green Grocer on 3 March was "
    "declined. If it was you, there is nothing to do.",
    "game": "I will beat you at chess tonight, prepare to lose your queen in ten moves.",
    "address-leak": "She lives at 12 Nowhere Lane, Exampleton; her number is 555-0100.",
    "mixed-case": "wHy DoEs ThIs TeXt LoOk LiKe ThAt? iPhone, McDonald, eBay, README.",
    "digits": "0 1 22 333 4444 55555 3.14159 1,000,000 1e-12 0x1F 2026-11-22T10:00:00Z",
    "links": "See https://example.com/a/b?c=d&e=%20f#g or mail someone+tag@example.org.",
    "repeated-marks": "No!!!!!!!! ........ really???? ~~~~ ---- ((((why)))) *****",
    "code": "fn main() { let x: Vec<u8> = vec![1, 2]; println!(\"{x:?}\"); } // done",
    "markup": "<p class=\"note\">Tea &amp; cake</p>\n{\"key\": [null, true, \"\\u00e9\"]}",
    "lines": "first line\nsecond line\r\n\tindented\tline\n\n\nlast line\n",
    "blanks-around": "  \t padded on both sides \n ",
    "control-characters": "bell\x07 escape\x1b[31m red, back\x08space, delete\x7f, unit\x1fend",
    "zero-width": "in\u200bvis\u200dible joi\u2060ners and a soft\u00adhyphen\ufeff.",
    "only-zero-width": "\u200b\u200d\u2060\ufeff",  # not blank, yet no tokens
    "odd-blanks": "no\u00a0break thin\u2009space ideographic\u3000space line\u2028separator",
    "accents": "Crème brûlée à la façon d'Ángel, Žižkov, smörgåsbord, Łódź, naïve Ærø, straße.",
    "combining": "Cafe\u0301 man\u0303ana, Z\u0335a\u0323\u0302l\u030ag\u0308o and a tail e\u0301",
    "case-folding": "İstanbul ΣΊΣΥΦΟΣ ﬁne ﬂuﬀy Ⅷ ǅ ẞ K",
    "emoji": "Great job 👍🏽 🎉🎉 family 👨‍👩‍👧 flag 🇫🇮 heart ❤️ 1️⃣ 😀😀😀",
    "chinese": "今天天气很好，我们去公园散步吧。",
    "japanese": "こんにちは、元気ですか？カレーライスを食べました。ﾊﾝｶｸ が ガ",
    "korean": "안녕하세요, 오늘 점심은 뭐 먹을까요?",
    "arabic": "مرحبا، كيف حالك اليوم؟ القَهْوَة جاهزة.",
    "hebrew": "שָׁלוֹם, מה שלומך?",
    "hindi": "नमस्ते, आप कैसे हैं?",
    "russian": "Привет! Ёлка ещё стоит, а чайник уже кипит.",
    "mixed-scripts": "Meet me at 駅前 at 7, bring the سلطة and a бутерброд, ok? 🙂",
    "mathematics": "∑ x² ≤ ∞, ½ + ¼ = ¾, 𝐛𝐨𝐥𝐝 𝔤𝔬𝔱𝔥𝔦𝔠 ｆｕｌｌ ｗｉｄｔｈ €5 ±1°",
    "unassigned": "private \ue000 use, not a character \ufffe, replacement \ufffd, tag \U000e0041.",
    "long-word": "donaudampfschiff" * 9 + "fahrts",  # 150 characters: [UNK] above 100
    "word-of-100": "ab" * 50,
    "word-of-101": "ab" * 50 + "c",
    "special-tokens": "He wrote [CLS] and [SEP] and [MASK] and [PAD] into the form, why?",
}

SENTENCES = [
    "The train to the coast leaves at nine, and we have not packed a single bag yet.",
    "My neighbour plays the trumpet every evening, mostly the same four notes.",
    "Could somebody explain to me how this coffee machine is supposed to work?",
    "Please send the signed form back to the office before the end of the month.",
    "I think your argument is weak, and shouting it twice did not make it stronger.",
    "Our garden gave us eleven pumpkins this year; nobody wants to eat soup any more.",
    "The password of the guest network is written on the board in the kitchen.",
    "What a lazy answer! You could at least have read the first page of the manual.",
    "Click here to confirm your free subscription to the weekly cheese newsletter.",
    "He forgot his umbrella on the bus and came home wet, angry and late for dinner.",
    "Add a pinch of salt, stir slowly, and wait until the sauce becomes thick.",
    "The museum is closed on Mondays, but the little shop next door is open.",
    "If you move my chair again I will hide your favourite mug, you have been warned.",
    "She learned to sail when she was twelve and has hardly been on land since.",
    "This film is far too long, the jokes are old and the ending makes no sense.",
    "Your invoice number 20931 over 118.20 is due on 14 April; thank you for your order.",
    "Do not believe everything that a stranger with a nice hat tells you at the station.",
    "We measured the room three times and got three different results.",
    "A small dog with enormous ears followed us all the way up the hill.",
    "Turn left after the bakery, cross the bridge, and ring the bell with the blue button.",
    "Nobody asked for your opinion, but since you insist: the green one looks better.",
    "The library wants its books back, and frankly so would I after two years.",
    "Version 3.2 fixes the crash on start, the missing icons and a typo in the settings.",
    "Last winter the lake froze so hard that people drove across it to the market.",
    "Our team lost by six goals, the keeper blamed the wind, and the wind said nothing.",
    "Le café était fermé, so we drank our crème from a bottle on the château steps.",
    "Happy birthday 🎂🎉 hope the day is as bright as your socks 😀",
    "The sign said 出口 in big letters, and underneath somebody had drawn a snail.",
    "“Quite so”, she said — and left… without paying her share of the naïve bet.",
    "On the shelf stood honey, rice, three onions, a lamp and a very old radio.",
]

WORDS = "the and a to of in is it you we on at my for not was so with all he".split()


if __name__ == "__main__":
    main()
