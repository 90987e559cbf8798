"""What the measurements say: ratios, and tables in Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import floor
import workloads

F32_PEERS = ["pytorch-eager", "pytorch-sdpa", "onnxruntime-f32"]
ENOUGH_ROUNDS = 7
QUIET = 0.05  # share of the machine that others may take; above it PyTorch suffers most

Run = dict[str, Any]


def figures(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The ratios that moderato is accepted by; a value a run, and their median."""
    sizes = floor.Sizes(**results["sizes"])
    window = workloads.shape_of(results["floor_shape"])[1]
    steps = floor.steps(sizes, window)
    found = []

    def add(name: str, target: str, value: Callable[[Run], float | None]) -> None:
        values = [value(run) for run in results["runs"]]
        if None not in values:
            median = statistics.median(values)
            sign, bound = target.split()
            met = median >= float(bound) if sign == ">=" else median <= float(bound)
            found.append(
                {"name": name, "target": target, "runs": values, "median": median, "met": met}
            )

    def faster(workload: str, peers: list[str], ours: str = "moderato-f32") -> Callable:
        return lambda run: least_ratio(run, workload, peers, ours)

    peers = "the faster of PyTorch and ONNX Runtime f32"
    add(f"f32, serving (b): times {peers}", ">= 2.0", faster("serving", F32_PEERS))
    add(f"f32, bulk (c): times {peers}", ">= 1.25", faster("bulk", F32_PEERS))
    for shape, target in [("32x32", ">= 1.1"), ("32x128", ">= 1.1"), ("8x512", ">= 1.2")]:
        add(f"f32, {shape}: times {peers}", target, faster(shape, F32_PEERS))
    for shape in ("1x16", "1x128"):
        add(f"f32, {shape}: times ONNX Runtime f32", ">= 1.0", faster(shape, ["onnxruntime-f32"]))
    for workload, target in [("serving", ">= 2.0"), ("bulk", ">= 1.3")]:
        ratio = faster(workload, ["onnxruntime-int8"], "moderato-int8")
        add(f"int8, {workload}: times ONNX Runtime int8", target, ratio)
    for workload in ("serving", "bulk"):
        ratio = faster(workload, ["moderato-f32"], "moderato-int8")
        add(f"int8, {workload}: times moderato f32", ">= 1.5", ratio)
    add(
        f"f32, {results['floor_shape']}: share of the GEMM bound",
        ">= 0.85",
        lambda run: share_of_bound(run, results, lambda r: floor.tokens_per_second(steps, r)),
    )
    for name, limit in [("moderato-f32", 260), ("moderato-int8", 160)]:
        dtype = name.removeprefix("moderato-")
        add(f"{dtype}, HTTP throughput: times in-process", ">= 0.9", http_share(name))
        add(f"{dtype}, p99 at 70 % load: times one text alone", "<= 5", tail(name))
        add(f"{dtype}, server's peak RSS in MB", f"<= {limit}", of_server(name, "peak_bytes", 1e-6))
        add(f"{dtype}, server ready after s", "<= 1", of_server(name, "ready_seconds", 1))
    return found


def least_ratio(run: Run, workload: str, peers: list[str], ours: str) -> float | None:
    """How many times as fast as the fastest peer, the median of the rounds."""
    seconds = run["seconds"].get(workload, {})
    if ours not in seconds or not all(peer in seconds for peer in peers):
        return None
    return min(ratio(seconds[peer], seconds[ours]) for peer in peers)


def ratio(above: list[float], below: list[float]) -> float:
    """The median of what each round gives."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def share_of_bound(run: Run, results: dict[str, Any], bound: Callable) -> float | None:
    """Tokens a second over what the products of the same round would allow."""
    if not run["rates"]:
        return None
    n_windows, n_tokens = workloads.shape_of(results["floor_shape"])
    seconds = run["seconds"]["floor"]["moderato-f32"]
    return statistics.median(
        n_windows * n_tokens / second / bound(rates)
        for second, rates in zip(seconds, run["rates"], strict=True)
    )


def http_share(name: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        seconds = run["seconds"]
        if name not in seconds.get("http_closed", {}):
            return None
        return ratio(seconds["concurrent"][name], seconds["http_closed"][name])

    return value


def tail(name: str) -> Callable[[Run], float | None]:
    def value(run: Run) -> float | None:
        if name not in run["latencies"].get("open", {}):
            return None
        alone = statistics.median(run["latencies"]["alone"][name])
        return percentile(run["latencies"]["open"][name], 99) / alone

    return value


def of_server(name: str, key: str, scale: float) -> Callable[[Run], float | None]:
    return lambda run: run["servers"][name][key] * scale if name in run["servers"] else None


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def markdown(results: dict[str, Any], found: list[dict[str, Any]]) -> str:
    """Everything for people."""
    sections = [heading(results), table_of_figures(found), comparison(results)]
    sections += [table_of_speed(results)]
    sections += [table_of_processes(results), floor_section(results), http_section(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def heading(results: dict[str, Any]) -> str:
    on, options = results["machine"], results["options"]
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    graphs = "; ".join(
        f"{dtype} {each['graph']} (relative times: "
        + ", ".join(f"{name} {time}" for name, time in each["relative_seconds"].items())
        + ")"
        for dtype, each in results["onnx_graphs"].items()
    )
    runs = results["runs"]
    exact = [
        run["differences"].get(name, 0) for run in runs for name in [*F32_PEERS, "moderato-f32"]
    ]
    inexact = {
        name: max(run["differences"].get(name, 0) for run in runs)
        for name in ("onnxruntime-int8", "moderato-int8")
        if any(name in run["differences"] for run in runs)
    }
    family = "/".join(on["family_model_stepping"])
    lines = [
        "# moderato and its peers",
        "",
        f"- processor: {on['processor']} (family/model/stepping {family}), {on['cpus']} CPUs; "
        f"{' '.join(on['flags'])}",
        f"- threads: {on['threads']}; rounds: {options['rounds']}; runs: {options['runs']}",
        f"- moderato {results['moderato']}, {on['rustc']}; Python {on['python']}, {versions}",
        f"- ONNX graphs, the faster of each: {graphs}",
        f"- texts: {options['texts']}; a round takes {options['serving_texts']} of them for "
        f"serving, others each round, and {options['bulk_texts']} for bulk. The peers cut texts at "
        "512 tokens; moderato reads them whole, in windows, and so does more work",
        f"- logits of the same ids: the f32 contestants differ by at most {max(exact):.1e}"
        + "".join(f", {name} by {difference:.2f}" for name, difference in inexact.items()),
        f"- while one was measured, the waiting ones took {percent(runs, 'idle_cpu')} of a CPU, "
        f"other processes {percent(runs, 'foreign_cpu')} of the machine",
    ]
    if statistics.median(run["foreign_cpu"] for run in runs) > QUIET:
        lines += ["", "**The machine was busy with other things: nothing to report.**"]
    if options["rounds"] < ENOUGH_ROUNDS:
        lines += ["", f"**Fewer than {ENOUGH_ROUNDS} rounds: nothing to report.**"]
    return "\n".join(lines)


def percent(runs: list[Run], key: str) -> str:
    return f"{100 * statistics.median(run[key] for run in runs):.1f} %"


def table_of_figures(found: list[dict[str, Any]]) -> str:
    if not found:
        return ""
    rows = [
        [
            figure["name"],
            figure["target"],
            f"**{figure['median']:.2f}**",
            ", ".join(f"{value:.2f}" for value in figure["runs"]),
            "yes" if figure["met"] else "no",
        ]
        for figure in found
    ]
    return "## Acceptance\n\n" + table(["figure", "target", "median", "runs", "met"], rows)


def comparison(results: dict[str, Any]) -> str:
    """This work tree beside another, and beside itself: what is within the noise."""
    if not results["before"]:
        return ""
    runs, rows = results["runs"], []
    for workload in [*workloads.SHAPES, "serving", "bulk", "concurrent", "http_closed"]:
        seconds = runs[0]["seconds"].get(workload, {})
        for name in seconds:
            others = [f"{name}-before", f"{name}-again"]
            if not all(other in seconds for other in others):
                continue
            row = [workload, name]
            for other in others:
                rounds = [
                    there / here
                    for run in runs
                    for there, here in zip(
                        run["seconds"][workload][other], run["seconds"][workload][name], strict=True
                    )
                ]
                least, most = min(rounds), max(rounds)
                row += [f"**{statistics.median(rounds):.3f}**", f"{least:.3f} to {most:.3f}"]
            rows.append(row)
    head = ["workload", "contestant", "times as fast as before", "rounds"]
    head += ["as fast as itself", "rounds"]
    words = f"Before: {results['before']}. A figure above 1 is faster now."
    return f"## Before and after\n\n{words}\n\n" + table(head, rows)


def table_of_speed(results: dict[str, Any]) -> str:
    """The medians of all rounds, and how many times as fast ours is as each."""
    runs = results["runs"]
    sections = []
    for workload in [*workloads.SHAPES, "serving", "bulk"]:
        names = list(runs[0]["seconds"].get(workload, {}))
        if not names:
            continue
        is_shape = workload in workloads.SHAPES
        ours = [name for name in names if name.startswith("moderato-")]
        rows = []
        for name in names:
            seconds = median_seconds(runs, workload, name)
            n_texts = 0 if is_shape else results["options"][f"{workload}_texts"]
            first = f"{1e3 * seconds:.2f}" if is_shape else f"{n_texts / seconds:.1f}"
            tokens_per_second = over_runs(
                runs,
                lambda run, n=name: ratio(run["tokens"][workload][n], run["seconds"][workload][n]),
            )
            row = [name, first, f"{tokens_per_second:,.0f}"]
            for our in ours:
                faster = over_runs(
                    runs,
                    lambda run, n=name, o=our: ratio(
                        run["seconds"][workload][n], run["seconds"][workload][o]
                    ),
                )
                row.append(f"{faster:.2f}")
            rows.append(row)
        head = ["contestant", "ms a batch" if is_shape else "texts/s", "tokens/s"]
        head += [f"{our} is faster, times" for our in ours]
        title = TITLES.get(workload, f"(a) uniform, {workload}")
        sections.append(f"## {title}\n\n" + table(head, rows))
    return "\n\n".join(sections)


def table_of_processes(results: dict[str, Any]) -> str:
    runs = results["runs"]
    rows = [
        [
            name,
            f"{over_runs(runs, lambda run, n=name: run['load_seconds'][n]):.2f}",
            f"{over_runs(runs, lambda run, n=name: run['peak_bytes'][n]) / 1e6:.0f}",
        ]
        for name in runs[0]["load_seconds"]
    ]
    return "## Processes\n\n" + table(["contestant", "ready after s", "peak RSS in MB"], rows)


def floor_section(results: dict[str, Any]) -> str:
    """The bound with its arithmetic."""
    runs, shape = results["runs"], results["floor_shape"]
    if not runs[0]["rates"]:
        return ""
    sizes = floor.Sizes(**results["sizes"])
    n_windows, n_tokens = workloads.shape_of(shape)
    steps = floor.steps(sizes, n_tokens)
    rates = {
        name: over_runs(runs, lambda run, n=name: statistics.median(r[n] for r in run["rates"]))
        for name in sizes.products()
    }
    best = max(rates.values())
    product_rows = [
        [name, f"{n_windows * n_tokens} x {depth} x {columns}", f"{rates[name] / 1e9:.0f}"]
        for name, (depth, columns) in sizes.products().items()
    ]
    step_rows = []
    for step in steps:
        rate = best if step.rate == "best" else rates[step.rate]
        step_rows.append(
            [
                step.name,
                step.arithmetic,
                f"{step.flop / 1e3:,.1f}",
                f"{step.rate}, {rate / 1e9:.0f}",
                f"{1e6 * step.flop / rate:.2f}",
            ]
        )
    total = sum(step.flop for step in steps)
    bound = floor.tokens_per_second(steps, rates)
    strict = floor.tokens_per_second_at_best(steps, rates)
    step_rows.append(["all", "", f"{total / 1e3:,.1f}", "", f"{1e6 / bound:.2f}"])
    reached = n_windows * n_tokens / median_seconds(runs, "floor", "moderato-f32")

    def share_of(bound: Callable) -> float:
        return over_runs(
            runs, lambda run: share_of_bound(run, results, lambda rates: bound(steps, rates))
        )

    share = share_of(floor.tokens_per_second)
    strict_share = share_of(floor.tokens_per_second_at_best)
    return "\n\n".join(
        [
            f"## The floor, {shape}",
            "The machine's best f32 products in this run (the faster of rten-gemm and our own, "
            "weights packed beforehand, all threads; the fastest run of each round, the median of "
            "the rounds):",
            table(["product", "rows x depth x columns", "GFLOP/s"], product_rows),
            "What a token costs if nothing but products took time, each at the rate of its shape, "
            "and those with shapes of their own at the best rate:",
            table(["step", "FLOP", "kFLOP a token", "rate, GFLOP/s", "us"], step_rows),
            f"Bound: {bound:,.0f} tokens/s. moderato-f32: {reached:,.0f} tokens/s, "
            f"**{100 * share:.0f} %** of it (the median of the rounds' shares). Were every step as "
            f"fast as the best product: {strict:,.0f} tokens/s, {100 * strict_share:.0f} %.",
        ]
    )


def http_section(results: dict[str, Any]) -> str:
    runs, n_texts = results["runs"], results["options"]["http_texts"]
    rows = []
    for name in runs[0]["servers"]:
        per_second = {
            way: n_texts / median_seconds(runs, way, name)
            for way in ("concurrent", "http_closed")
        }
        open_loop = [latency for run in runs for latency in run["latencies"]["open"][name]]
        alone = [latency for run in runs for latency in run["latencies"]["alone"][name]]
        unloaded = [latency for run in runs for latency in run["latencies"]["unloaded"][name]]
        rows.append(
            [
                name,
                f"{per_second['concurrent']:.1f}",
                f"{per_second['http_closed']:.1f}",
                f"{over_runs(runs, http_share(name)):.2f}",
                f"{1e3 * percentile(open_loop, 50):.1f}",
                f"{1e3 * percentile(open_loop, 99):.1f}",
                f"{1e3 * percentile(unloaded, 99):.1f}",
                f"{1e3 * statistics.median(alone):.1f}",
                f"{over_runs(runs, tail(name)):.1f}",
                f"{over_runs(runs, of_server(name, 'peak_bytes', 1e-6)):.0f}",
                f"{over_runs(runs, of_server(name, 'ready_seconds', 1)):.2f}",
            ]
        )
    if not rows:
        return ""
    head = ["server", "in-process texts/s", "HTTP texts/s", "share", "p50 ms", "p99 ms"]
    head += ["p99 unloaded ms", "alone ms", "p99 / alone", "peak RSS in MB", "ready after s"]
    return (
        "## HTTP\n\nOne text a request, 64 connections, client and server on the same cores; in "
        "process: 64 callers. p50 and p99 at 70 % of the HTTP throughput, arrivals at random "
        "(Poisson), counted from when each was due; unloaded: the same texts one after the other, "
        "below which no load can come; alone: one 128-token text, one connection.\n\n"
        + table(head, rows)
    )


def over_runs(runs: list[Run], value: Callable[[Run], float | None]) -> float:
    return statistics.median(value(run) or 0.0 for run in runs)


def median_seconds(runs: list[Run], workload: str, name: str) -> float:
    return over_runs(runs, lambda run: statistics.median(run["seconds"][workload][name]))


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


TITLES = {
    "serving": "(b) serving: batches of 32 in arrival order, tokenising included",
    "bulk": "(c) bulk: the peers sort by length, moderato as in `moderato score --input`",
}
