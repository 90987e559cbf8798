"""Kinds of texts and lengths, as far as the form of a text tells."""

from rows import Row

LENGTHS = {"to 16 words": 16, "to 64": 64, "to 256": 256, "more": 1_000_000}
KINDS = ["request", "reply", "conversation", "post or message"]
REPLIES = ("sure", "certainly", "of course", "as an ai", "i'm sorry", "i am sorry", "sorry, i")
REQUEST_WORDS = {
    *("what", "how", "why", "who", "where", "when", "which", "can", "could", "write", "tell"),
    *("give", "explain", "create", "make", "describe", "list", "provide", "suggest", "help"),
    *("generate", "teach", "develop", "design", "draft", "compose", "please"),
}


def length_of(row: Row) -> str:
    """By words."""
    n_words = len(row.text.split())
    return next(name for name, most in LENGTHS.items() if n_words <= most)


def kind_of(row: Row) -> str:
    """By its beginning and its end."""
    text = row.text.lstrip().lower()
    if text.startswith(("user:", "human:", "[user", "assistant:")) or "\nassistant:" in text:
        return "conversation"
    if text.startswith(REPLIES):
        return "reply"
    if text.rstrip().endswith("?") or text.split()[0] in REQUEST_WORDS:
        return "request"
    return "post or message"
