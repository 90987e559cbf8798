"""A table of operations from the samples that `perf script` prints; see scripts/profile.sh."""

import sys
from collections import Counter

# The first that some frame of a sample contains, all of them in this order.
OPERATIONS = [
    ("attention::Softmax", "attention: softmax"),
    ("pack_keys", "attention: packing keys"),
    ("pack_values", "attention: packing values"),
    ("Quantize", "int8: rows to int8"),
    ("quantized::Span", "int8: rows to int8"),
    ("QuantizedRows", "int8: rows to int8"),
    ("Dequantize", "int8: sums to f32, bias"),
    ("activation::Activate", "activation"),
    ("AddAndNormalize", "residual and layer norm"),
    ("embedding::Embed", "embeddings and layer norm"),
    ("PackedInt8>::new", "loading: weights to int8"),
    ("Packed>::new", "loading: packing weights"),
    ("panel::pack", "loading: packing weights"),
    ("linear::Linear>::pack", "loading: packing weights"),
    ("ops::attention", "attention: products"),
    ("cpu::attention", "attention: products"),
    ("ops::product", "linear: products"),
    ("ops::quantized", "linear: products"),
    ("cpu::layer", "linear: products"),
    ("tokenizers", "tokenising"),
    ("moderato::encode", "tokenising"),
    ("sha2", "loading: hash"),
    ("moderato::model", "loading and the rest of the model"),
    ("rayon", "threads: handing out and waiting"),
    ("criterion", "the benchmark itself"),
]
OTHER = "everything else"


def main() -> None:
    counts = Counter(operation(frames) for frames in samples(sys.stdin))
    n_samples = sum(counts.values())
    print(f"{n_samples} samples: {sys.argv[1]}\n")
    print("| operation | share |\n| --- | ---: |")
    for name, count in counts.most_common():
        print(f"| {name} | {count / n_samples:.1%} |")


def samples(lines):
    """The symbols of each sample, the innermost first."""
    frames: list[str] = []
    for line in lines:
        if line.startswith(("\t", " ")) and line.strip():
            frames.append(line.strip().split(" ", 1)[-1])
        elif not line.strip() and frames:
            yield frames
            frames = []
    if frames:
        yield frames


def operation(frames: list[str]) -> str:
    for part, name in OPERATIONS:
        if any(part in frame for frame in frames):
            return name
    return OTHER


if __name__ == "__main__":
    main()
