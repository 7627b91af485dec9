"""Loads a published adapter as someone who never heard of adapterx does, and asks it: run as a script, with a job file.

The job is JSON: `code`, a file with the lines of the card that load the adapter; `head`, how its scores are read;
`items`, token ids and the positions that are read, sequence by sequence; `texts`, pairs of texts with their token ids.
What comes out, on the last line, is JSON too: `scores` of each item, and how many `texts` the tokenizer reads
otherwise.

Imports nothing of adapterx: only what the card's lines import.
"""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any


def main(job: dict[str, Any]) -> dict[str, Any]:
    """Run a job."""
    import torch

    names = runpy.run_path(job["code"])  # the very lines that the card shows are what is tried
    model = names["model"]
    with torch.no_grad():
        scores = [_scores(model, names.get("head"), job["head"], item) for item in job["items"]]
    others = sum(names["tokenizer"](*texts)["input_ids"] != ids for texts, ids in job["texts"])
    return {"scores": scores, "other_tokens": others, "active": _is_active(model)}


def _scores(model: Any, head: Any, reading: str, item: dict[str, Any]) -> list[list[float]]:
    """Lines of scores, as they are stored."""
    import torch

    if reading == "choices" and head is None:
        return [_choices(model, item["sequences"])]
    lines = []
    for ids, reads in zip(item["sequences"], item["reads"], strict=True):
        found = model(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
        if head is not None:
            states = found.last_hidden_state[0, reads]
            if "dense.weight" in head:
                states = torch.tanh(states @ head["dense.weight"].T + head["dense.bias"])
            lines += (states @ head["output.weight"].T + head["output.bias"]).tolist()
        elif reading == "span":
            lines += torch.stack([found.start_logits[0, reads], found.end_logits[0, reads]], dim=1).tolist()
        elif reading == "words":
            lines += found.logits[0, reads].tolist()
        else:
            lines += found.logits.tolist()
    # Each choice is a sequence of its own, with one score.
    return [[line[0] for line in lines]] if reading == "choices" else lines


def _choices(model: Any, sequences: list[list[int]]) -> list[float]:
    """The scores of all choices, in one batch as AdapterHub's head takes them."""
    import torch

    longest = max(map(len, sequences))
    ids = torch.tensor([[*one, *([1] * (longest - len(one)))] for one in sequences])
    mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in sequences])
    found: list[float] = model(input_ids=ids[None], attention_mask=mask[None]).logits.reshape(-1).tolist()
    return found


def _is_active(model: Any) -> bool:
    """Whether the model has an adapter that acts."""
    active = getattr(model, "active_adapters", None)
    return bool(active() if callable(active) else active)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))))  # noqa: T201  the answer
