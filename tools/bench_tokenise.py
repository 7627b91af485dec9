"""Tokenisation against the scripts of `transformers`, side by side: the same real examples, taking turns.

The peer is what the library's example scripts hand to `datasets.map`: the tokenizer called on a thousand examples at a
time, and a loop for labels (`run_glue.py`, `run_ner.py`, `run_swag.py`, `run_qa.py`); with `--datasets` that mapping
itself, with its caches off, too. Run `python tools/bench_tokenise.py` from a checkout with benchmark files
($ADAPTERX_DATA); results go to `reports/benchmarks/tokenise-<machine>.md` and `.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.bench import results

BATCH = 1000
OURS = "adapterx"
Features = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Case:
    """The first `limit` examples of some languages of a split, and the length they are cut to."""

    name: str
    task: str
    languages: tuple[str, ...]
    split: str
    max_length: int
    limit: int = 5000
    source: str = "local"


CASES = (
    Case("pairs (XNLI)", "xnli", ("en", "sw", "hi", "th"), "test", 128),
    Case("pairs (LingNLI)", "lingnli", ("en",), "train", 128, 20_000),
    Case("tagging (UDPOS)", "udpos", ("en", "de", "ar"), "test", 128),
    Case("multiple choice (CosmosQA)", "cosmosqa", ("en",), "dev", 256),
    Case("extractive QA (SQuAD)", "squad", ("en",), "train", 384, 8000),
)


def examples(case: Case) -> list[Any]:
    """A case's examples."""
    from adapterx.limits import Limit
    from adapterx.tasks.catalog import find
    from adapterx.tasks.data import load

    spec, limit = find(case.task), Limit.of(case.limit, "first")
    return [one for code in case.languages for one in load(spec, case.source, code, case.split, limit)]


def ours(case: Case, given: list[Any], tokenizer: Any) -> int:
    """Encode as a run does; the number of tokens."""
    from adapterx.tasks.catalog import find
    from adapterx.tasks.kinds.encoding import encode_stream

    return len(encode_stream(given, find(case.task), tokenizer, case.max_length).tokens)


def plain(case: Case, given: list[Any], tokenizer: Any) -> int:
    """The library's scripts without `datasets`."""
    features, columns = _peer(case, tokenizer), _columns(given)
    kept = []
    for start in range(0, len(given), BATCH):
        kept.append(features({name: values[start : start + BATCH] for name, values in columns.items()}))
    return sum(len(_flat(one)) for batch in kept for one in batch["input_ids"])


def mapped(case: Case, given: list[Any], tokenizer: Any) -> int:
    """The library's scripts."""
    import datasets

    datasets.disable_caching()
    datasets.disable_progress_bars()
    table = datasets.Dataset.from_dict(_columns(given))
    found = table.map(_peer(case, tokenizer), batched=True, batch_size=BATCH, remove_columns=table.column_names)
    return sum(len(_flat(one)) for one in found.with_format("numpy")["input_ids"])


def _flat(one: Sequence[Any]) -> Sequence[Any]:
    """Token ids of one example, of all of its choices if it has some."""
    return one if not len(one) or not hasattr(one[0], "__len__") else [token for choice in one for token in choice]


def _columns(given: list[Any]) -> dict[str, list[Any]]:
    from adapterx.tasks.kinds.extractive_qa import QAExample

    if not isinstance(given[0], QAExample):
        names = [name for name in type(given[0]).__dataclass_fields__ if name != "id"]
        return {name: [_plain(getattr(one, name)) for one in given] for name in names}
    first = [one.answers[0] if one.answers else None for one in given]
    return {
        "question": [one.question for one in given],
        "context": [one.context for one in given],
        "start": [answer.start if answer else -1 for answer in first],
        "stop": [answer.start + len(answer.text) if answer else -1 for answer in first],
    }


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _peer(case: Case, tokenizer: Any) -> Callable[[Mapping[str, list[Any]]], Features]:
    from adapterx.tasks.catalog import find

    made = {
        "pair-classification": _glue,
        "tagging": _ner,
        "multiple-choice": _swag,
        "extractive-qa": _qa,
    }[find(case.task).format]
    return partial(made, tokenizer, case.max_length)


def _glue(tokenizer: Any, max_length: int, batch: Mapping[str, list[Any]]) -> Features:
    pair = batch["text_pair"] if batch["text_pair"][0] is not None else None
    found = tokenizer(batch["text"], pair, truncation=True, max_length=max_length)
    return {**found, "label": batch["label"]}


def _ner(tokenizer: Any, max_length: int, batch: Mapping[str, list[Any]]) -> Features:
    found = tokenizer(batch["words"], truncation=True, max_length=max_length, is_split_into_words=True)
    labels = []
    for number, tags in enumerate(batch["tags"]):
        before, own = None, []
        for word in found.word_ids(number):
            own.append(-100 if word is None or word == before else tags[word])
            before = word
        labels.append(own)
    return {**found, "labels": labels}


def _swag(tokenizer: Any, max_length: int, batch: Mapping[str, list[Any]]) -> Features:
    counts = [len(choices) for choices in batch["choices"]]
    contexts = [one for one, count in zip(batch["context"], counts, strict=True) for _ in range(count)]
    choices = [one for many in batch["choices"] for one in many]
    found = tokenizer(contexts, choices, truncation=True, max_length=max_length)
    ends = [sum(counts[: at + 1]) for at in range(len(counts))]
    return {
        **{key: [flat[end - count : end] for end, count in zip(ends, counts, strict=True)]
           for key, flat in found.items()},
        "label": batch["label"],
    }  # fmt: skip


def _qa(tokenizer: Any, max_length: int, batch: Mapping[str, list[Any]]) -> Features:
    found = tokenizer(
        batch["question"], batch["context"], truncation="only_second", max_length=max_length, stride=128,
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    starts, stops = [], []
    for window, example in enumerate(found["overflow_to_sample_mapping"]):
        places, owners = found["offset_mapping"][window], found.sequence_ids(window)
        first, last = owners.index(1), len(owners) - 1 - owners[::-1].index(1)
        start, stop = batch["start"][example], batch["stop"][example]
        if start < 0 or places[first][0] > start or places[last][1] < stop:
            starts.append(0)
            stops.append(0)
            continue
        while first <= last and places[first][0] <= start:
            first += 1
        while places[last][1] >= stop:
            last -= 1
        starts.append(first - 1)
        stops.append(last + 1)
    return {"input_ids": found["input_ids"], "start_positions": starts, "end_positions": stops}


LANES: dict[str, Callable[[Case, list[Any], Any], int]] = {
    OURS: ours,
    "tokenizer per 1,000": plain,
    "datasets.map": mapped,
}


def measure(case: Case, lanes: Sequence[str], tokenizer: Any, rounds: int) -> list[dict[str, Any]]:
    """Of each lane its median rate, and the ratio to ours of every turn."""
    given = examples(case)
    seconds: dict[str, list[float]] = {name: [] for name in lanes}
    processor: dict[str, list[float]] = {name: [] for name in lanes}
    tokens = {name: LANES[name](case, given[:BATCH], tokenizer) for name in lanes}  # warm
    for turn in range(rounds):
        for name in lanes if turn % 2 == 0 else lanes[::-1]:
            before, used = time.perf_counter(), time.process_time()
            tokens[name] = LANES[name](case, given, tokenizer)
            seconds[name].append(time.perf_counter() - before)
            processor[name].append(time.process_time() - used)
    rows = []
    for name in lanes:
        ratios = [theirs / own for theirs, own in zip(seconds[name], seconds[OURS], strict=True)]
        rows.append({
            "case": case.name, "lane": name, "examples": len(given), "tokens": tokens[name],
            "examples/s": len(given) / median(seconds[name]), "tokens/s": tokens[name] / median(seconds[name]),
            "CPU µs/example": 1e6 * median(processor[name]) / len(given),
            "ratio": median(ratios), "range": [min(ratios), max(ratios)],
        })  # fmt: skip
    return rows


def peak(case: Case, lane: str) -> float:
    """MB that a lane needs beyond its examples, in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (case, lane))


def _peak(case: Case, lane: str) -> float:
    tokenizer, given = load_tokenizer(), examples(case)
    LANES[lane](case, given[:10], tokenizer)
    before = _memory("VmRSS")
    LANES[lane](case, given, tokenizer)
    return (_memory("VmHWM") - before) / 1024


def _memory(field: str) -> int:
    """kB, as Linux counts them."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def load_tokenizer() -> Any:
    """XLM-R's, as the embedded backbone has it."""
    from transformers import PreTrainedTokenizerFast

    from adapterx import places
    from adapterx.backbones import embedded

    path = embedded.checkpoint(places.cache() / "backbones") / "tokenizer.json"
    roles = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_file=str(path), **roles)  # type: ignore[no-untyped-call]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="turns of each lane (default 5)")
    parser.add_argument("--only", metavar="TEXT", help="cases whose name has this in it")
    parser.add_argument("--datasets", action="store_true", help="against `datasets.map` too")
    parser.add_argument("--note", default="", metavar="TEXT", help="what else ran on the machine, for the page")
    parser.add_argument("--out", type=Path, default=Path("reports/benchmarks"), metavar="DIR")
    args = parser.parse_args()
    lanes = [name for name in LANES if args.datasets or name != "datasets.map"]
    tokenizer, rows = load_tokenizer(), []
    for case in CASES:
        if args.only and args.only not in case.name:
            continue
        for row in measure(case, lanes, tokenizer, args.rounds):
            rows.append({**row, "peak MB": peak(case, row["lane"])})
            print(_line(rows[-1]), flush=True)
    machine = results.machine("cpu", {"threads": os.cpu_count(), "gpu": None})
    packages = ("tokenizers", "transformers", *(["datasets"] if args.datasets else []))
    machine["packages"] = {name: version(name) for name in packages}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"tokenise-{results.default_name(machine)}.md"
    path.write_text(page(rows, args.rounds, machine, args.note), encoding="utf-8")
    found = {"machine": machine, "commit": results.commit(), "rounds": args.rounds, "note": args.note, "rows": rows}
    path.with_suffix(".json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"results: {path}")
    return 0


def page(rows: list[dict[str, Any]], rounds: int, machine: dict[str, Any], note: str) -> str:
    """The results as Markdown."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
    lines = [
        "# Tokenisation against the library's example scripts",
        "",
        f"Real files, XLM-R's vocabulary; {machine['processor']}, {machine['cores']} cores; {versions};",
        f"commit {results.commit()}. Medians of {rounds} turns, one lane after another; the ratio is that of every",
        "turn, theirs to ours; CPU time is that of all threads. Peak memory is what a lane needs beyond its examples,",
        "in a process of its own. Lanes differ in what they keep: adapterx flat arrays with places to read and labels,",
        "the others lists of ids, attention masks and labels, and `datasets.map` a table on disk. In extractive QA,",
        "windows differ: ours begin every 128 tokens as XTREME's, theirs overlap by 128. Sentences to tag are split by",
        "us and cut by them.",
        *(["", note] if note else []),
        "",
        "| case | lane | examples/s | tokens/s | ratio | range | CPU µs per example | peak MB |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        low, high = row["range"]
        lines.append(
            f"| {row['case']} | {row['lane']} | {row['examples/s']:,.0f} | {row['tokens/s']:,.0f} |"
            f" {row['ratio']:.2f}× | {low:.2f}–{high:.2f} | {row['CPU µs/example']:.0f} | {row['peak MB']:.0f} |"
        )
    return "\n".join([*lines, ""])


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['case']:28} {row['lane']:20} {row['examples/s']:9,.0f} examples/s {row['tokens/s']:11,.0f} tokens/s"
        f" {row['ratio']:5.2f}× {row['CPU µs/example']:6.0f} µs {row['peak MB']:6.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
