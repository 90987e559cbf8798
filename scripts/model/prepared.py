"""A prepared set on disk: token ids end to end, and what is known of each row."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rows import UNKNOWN
from settings import Train

WORDS = ("names", "origins", "sources", "languages")


@dataclass(frozen=True)
class Prepared:
    """Rows of tokens. `ids` has all of them end to end, row i from starts[i] to starts[i + 1]."""

    ids: np.ndarray  # uint32, (token)
    starts: np.ndarray  # int64, (row + 1)
    targets: np.ndarray  # float32, (row, label): 0 to 1, or UNKNOWN
    names: list[str]  # (row)
    origins: list[str]  # (row)
    sources: list[str]  # (row)
    languages: list[str]  # (row)

    def __len__(self) -> int:
        return len(self.names)

    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.diff(self.starts)

    def row(self, place: int, max_tokens: int) -> np.ndarray:
        """Ids of a row; the end of a long one is cut, but for its last token, the separator."""
        ids = self.ids[self.starts[place] : self.starts[place + 1]]
        if len(ids) <= max_tokens:
            return ids
        return np.concatenate([ids[: max_tokens - 1], ids[-1:]])

    def weights(self, train: Train) -> np.ndarray:
        """How often each row comes in an epoch (row), float32."""
        pairs = zip(self.origins, self.sources, strict=True)
        given = train.weights
        found = [given.get(f"{origin}/{source}", given.get(origin, 1.0)) for origin, source in pairs]
        return np.array(found, dtype=np.float32)

    def part(self, rows: np.ndarray) -> "Prepared":
        """Some of the rows."""
        ids = [self.ids[self.starts[row] : self.starts[row + 1]] for row in rows]
        return Prepared(
            ids=np.concatenate(ids),
            starts=np.concatenate([[0], np.cumsum(self.lengths()[rows])]),
            targets=self.targets[rows],
            **{key: [getattr(self, key)[row] for row in rows] for key in WORDS},
        )

    def save(self, folder: Path, name: str) -> None:
        """Two files: NAME.npz and NAME.json."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {it: getattr(self, it) for it in ("ids", "starts", "targets")}
        np.savez(folder / f"{name}.npz", **arrays)
        words = {key: getattr(self, key) for key in WORDS}
        (folder / f"{name}.json").write_text(json.dumps(words))


def load(folder: Path, name: str) -> Prepared:
    """What `save` has written."""
    arrays = np.load(folder / f"{name}.npz")
    words = json.loads((folder / f"{name}.json").read_text())
    return Prepared(**{key: arrays[key] for key in arrays.files}, **words)


def fingerprint(rows: Prepared, settings: str) -> str:
    """Of rows and the settings that they are used with."""
    digest = hashlib.sha256(settings.encode())
    for array in (rows.ids, rows.starts, rows.targets):
        digest.update(np.ascontiguousarray(array).tobytes())
    for word in (*rows.origins, *rows.sources):
        digest.update(word.encode() + b"\n")
    return digest.hexdigest()


def known(targets: np.ndarray) -> np.ndarray:
    """Where a label is known."""
    return targets != UNKNOWN
