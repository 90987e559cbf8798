"""What a model is made with: a TOML file, saved beside the weights."""

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Train:
    """How weights are fitted."""

    seed: int = 1
    epochs: float = 3.0
    rows_per_step: int = 32
    max_tokens: int = 256  # longer texts are cut
    learning_rate: float = 1e-4  # of the topmost layer, at its highest
    layer_decay: float = 1.0  # times this for each layer below
    warmup: float = 0.06  # share of all steps
    last_rate: float = 0.0  # at the end, as a share of the highest; the average makes up for it
    weight_decay: float = 0.01
    dropout: float = 0.1  # of hidden states
    attention_dropout: float = 0.0
    clip: float = 1.0  # norm of the gradient
    average: float = 0.999  # of the weights, exponentially; 0 keeps the last ones
    positive_power: float = 0.5  # a positive weighs (negatives / positives) to this power, ...
    most_positive_weight: float = 5.0  # ... at most so much
    label_smoothing: float = 0.0
    precision: str = "f32"  # or bf16: products in bfloat16, weights in f32
    # How often a row comes in an epoch, by "origin/source" or "origin".
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Relabel:
    """What a teacher may say about rows whose labels are less exact."""

    # Share of the teacher in a label that is known, by origin; of other rows it does not speak.
    trust: dict[str, float] = field(default_factory=dict)
    contradiction: float = 0.9  # a label so far from the teacher is not known any more
    unknown: bool = True  # the teacher's word counts where nothing is known
    silent: tuple[str, ...] = ()  # labels too rare for the teacher; what is known stays


@dataclass(frozen=True)
class Augment:
    """Rewritings of rows, made once, in addition to the rows themselves."""

    seed: int = 1
    misspelt: float = 0.0  # share of the rows that come a second time, misspelt
    framed: float = 0.0  # ... of requests that violate something, within a role play or a plea
    framed_harmless: float = 0.0  # ... of those that do not
    conversations: float = 0.0  # ... as the last turn of a conversation


@dataclass(frozen=True)
class Distill:
    """How a model with fewer layers learns what the layers of its teacher say."""

    layers: tuple[int, ...] = ()  # of the teacher, from 1 on, one for each layer of the student
    epochs: float = 1.0
    rows_per_step: int = 64
    max_tokens: int = 128
    learning_rate: float = 3e-4
    warmup: float = 0.06
    weight_decay: float = 0.01
    # How often a row comes in an epoch, by "origin/source" or "origin".
    weights: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """All of it."""

    labels: tuple[str, ...]
    train: Train
    relabel: Relabel = Relabel()
    augment: Augment = Augment()
    distill: Distill = Distill()
    # Of the labels, those that "macro" and "any" are about, and that make a text harmless if all of
    # them are known to be 0. Empty: all.
    categories: tuple[str, ...] = ()
    # The languages that it reads; rows in others are not prepared. Empty: all.
    languages: tuple[str, ...] = ()

    def of_categories(self) -> list[int]:
        """Places of the categories among the labels."""
        return [self.labels.index(it) for it in self.categories or self.labels]


def read(file: Path) -> Settings:
    """Reads a file; unknown keys end the program by name. With `base = "FILE"` it has what that file
    beside it has, key by key, unless it says otherwise."""
    table = table_of(file)
    if "labels" not in table:
        raise SystemExit(f"{file}: expected labels = [...]")
    parts = {"train": Train, "relabel": Relabel, "augment": Augment, "distill": Distill}
    try:
        made = {name: known(kind, table.pop(name, {}), name) for name, kind in parts.items()}
        settings = known(Settings, table | made, "settings")
        settings.of_categories()
    except (TypeError, KeyError, ValueError) as fault:
        raise SystemExit(f"{file}: {fault}") from None
    return settings


def table_of(file: Path) -> dict:
    """The keys of a file over those of its base."""
    table = tomllib.loads(file.read_text())
    base = table.pop("base", None)
    return merged(table_of(file.parent / base), table) if base else table


def merged(base: dict, over: dict) -> dict:
    """Both; of what both have, that of the second, or what both tables have."""
    found = base | over
    for key in base.keys() & over.keys():
        if isinstance(base[key], dict) and isinstance(over[key], dict):
            found[key] = merged(base[key], over[key])
    return found


def known(kind: type, table: dict, name: str):  # noqa: ANN201 - an instance of `kind`
    """Makes a dataclass of a table."""
    fields = {it.name for it in dataclasses.fields(kind)}
    if strange := table.keys() - fields:
        raise KeyError(f"{name} has no {', '.join(sorted(strange))}")
    return kind(**{key: tuple(it) if isinstance(it, list) else it for key, it in table.items()})


def to_toml(settings: Settings) -> str:
    """The whole of it, defaults too."""
    whole = dataclasses.asdict(settings)
    lines = [f"{key} = {toml_value(whole.pop(key))}" for key in ("labels", "categories", "languages")]
    for name, table in whole.items():
        lines.append(f"\n[{name}]")
        lines.extend(f"{key} = {toml_value(it)}" for key, it in table.items())
    return "\n".join(lines) + "\n"


def toml_value(value: object) -> str:
    """As TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(toml_value(it) for it in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f'"{key}" = {toml_value(it)}' for key, it in value.items()) + " }"
    return f'"{value}"' if isinstance(value, str) else repr(value)
