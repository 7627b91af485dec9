"""A folder is loaded by the library itself, in a process of its own, and must give the scores that are stored."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapterx.files.adapter_files import CONFIG
from adapterx.publish.hub.errors import PublishError
from adapterx.publish.hub.probes import ProbedItem
from adapterx.publish.hub.publication import Publication
from adapterx.publish.hub.snippet import base_place, snippet
from adapterx.wording import plain

SCRIPT = Path(__file__).with_name("stranger.py")
_PATIENCE = 1800.0
"""Seconds for which a library may load and compute."""
_PARTS = {"float32": 1e-3, "float16": 1e-2, "bfloat16": 5e-2}
"""By the number format of weights: how far scores may differ, as a part of their own spread."""
_QUANTISED = 0.25
"""The same where the run's backbone was in a format that the library does not load it in."""


@dataclass(frozen=True)
class Checked:
    """What a check has found."""

    items: int
    largest: float
    """The largest difference of a score."""
    allowed: float
    base: str
    """What the adapter was put on."""

    def __str__(self) -> str:
        return (
            f"{self.items} items give the stored scores on {self.base} (largest difference {self.largest:.1e}, at most"
            f" {self.allowed:.1e} is let pass)"
        )


def check(folder: Path, publication: Publication, probes: Sequence[ProbedItem], base: Path | None = None) -> Checked:
    """Run the lines of the card on the folder, and compare.

    Args:
        base: a directory with the base model, where the declared one cannot be asked.

    Raises PublishError where the library does not load the folder, or gives other scores.
    """
    with tempfile.TemporaryDirectory(prefix="adapterx-check-") as scratch:
        tried = folder if base is None else _on(folder, base, Path(scratch) / "folder")
        job = _job(tried, publication, probes, base)
        found = _ran(job, Path(scratch))
    if found["other_tokens"]:
        raise PublishError(
            f"{publication.repository}: the tokenizer of {publication.base.id} reads {found['other_tokens']} of"
            f" {len(job['texts'])} texts otherwise than in the run: it is not the backbone's equal"
        )
    if not found["active"]:
        raise PublishError(f"{publication.repository}: the library loads the adapter and does not let it act")
    stored = [one.scores for one in probes]
    given = [np.array(one, np.float32) for one in found["scores"]]
    if any(one.shape != own.shape for one, own in zip(given, stored, strict=True)):
        raise PublishError(f"{publication.repository}: the library gives scores in another shape than those stored")
    flat = np.concatenate([own.reshape(-1) for own in stored])
    largest = max(float(np.abs(one - own).max()) for one, own in zip(given, stored, strict=True))
    allowed = _allowed(publication) * max(float(flat.std()), float(np.abs(flat).mean()), 1e-3)
    where = f"{publication.base.id}@{publication.base.revision[:12]}" if base is None else "the run's own copy of it"
    if not largest <= allowed:  # not a number either
        raise PublishError(
            f"{publication.repository}: its library gives scores up to {largest:.3g} from those stored, on {where};"
            f" at most {allowed:.3g} is let pass. Nothing was uploaded. Is that base model the run's backbone?"
        )
    return Checked(len(probes), largest, allowed, where)


def _allowed(publication: Publication) -> float:
    """The part of their spread by which scores may differ."""
    load = publication.adapters.metadata.load
    return max(_PARTS[publication.dtype], _PARTS.get(load, _QUANTISED))


def _job(folder: Path, publication: Publication, probes: Sequence[ProbedItem], base: Path | None) -> dict[str, Any]:
    """What `stranger.py` is to do."""
    lines = snippet(publication.layout, publication.adapters, publication.repository, publication.base).load
    lines = lines.replace(f'snapshot_download("{publication.repository}")', repr(str(folder)))
    lines = lines.replace(f'"{publication.repository}"', repr(str(folder)))
    if base is not None:
        lines = lines.replace(base_place(publication.base), repr(str(base)))
    return {
        "code": lines,
        "head": publication.adapters.head.kind.reading,
        "items": [{"sequences": one.sequences, "reads": one.reads} for one in probes],
        "texts": [(one.texts, one.sequences[0]) for one in probes if one.texts and _is_whole(one, publication)],
    }


def _is_whole(probe: ProbedItem, publication: Publication) -> bool:
    """Whether a text was read to its end: libraries differ in where they cut a pair."""
    return len(probe.sequences[0]) < publication.adapters.metadata.max_length


def _on(folder: Path, base: Path, copy: Path) -> Path:
    """A copy of a folder whose adapters name another place of their base model."""
    shutil.copytree(folder, copy)
    for path in copy.rglob(CONFIG):
        config = json.loads(path.read_text(encoding="utf-8"))
        if "base_model_name_or_path" in config:
            config |= {"base_model_name_or_path": str(base), "revision": None}
            path.write_text(json.dumps(config), encoding="utf-8")
    return copy


def _ran(job: dict[str, Any], scratch: Path) -> Any:
    """What the script says. PublishError with the last line of what went wrong."""
    path, code = scratch / "job.json", scratch / "lines.py"
    code.write_text(job["code"], encoding="utf-8")
    path.write_text(json.dumps({**job, "code": str(code)}), encoding="utf-8")
    # -P: nothing beside the script is imported in a library's place.
    command = [sys.executable, "-P", str(SCRIPT), str(path)]
    surroundings = {**os.environ, "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}
    try:
        done = subprocess.run(  # noqa: S603
            command, cwd=scratch, env=surroundings, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        raise PublishError(f"the library has not loaded and answered within {_PATIENCE / 60:.0f} minutes") from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it was killed"]
        raise PublishError(f"its library does not load the folder: {plain(last[0], 300)}")
    return json.loads(done.stdout.strip().splitlines()[-1])
