"""One size in one precision, measured in a process of its own: takes a job as JSON, prints a line of JSON last."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from adapterx.backbones.layout import Sequences, pack
from adapterx.backbones.load import LoadedBackbone, load
from adapterx.backbones.packed import PackedEncoder
from adapterx.backbones.precisions import precision
from adapterx.backbones.shape import Shape
from adapterx.backbones.spec import Backbone
from adapterx.doctor.points import BenchEncoder, Point, measured
from adapterx.engine.batches import placed
from adapterx.executors.device import choose
from adapterx.machine import threads
from adapterx.machine.processor import processor
from adapterx.methods.lora.spec import Lora
from adapterx.methods.method import Slot, adapters
from adapterx.methods.method import parameters as adapter_parameters
from adapterx.methods.rows import CellDropout

LENGTH = 64
"""Tokens of a text on average."""
TEXTS = {"cpu": (16, 4), "cuda": (32, 32)}
"""Texts of a training step, and of one of an encoder of more than `MANY` parameters; an evaluation has four times as
many."""
MANY = 500_000_000
LENGTHS = (48, 17, 64, 5, 32, 40)
"""Of the sequences whose hidden states and gradients are compared."""
LABELS = 3
MIB = 1 << 20


class Peak:
    """Memory at most while a block runs, and what it had before and after, in MiB."""

    def __init__(self, device: str) -> None:
        self._device, self._done = device, threading.Event()
        self.before = self.after = self.most = 0.0

    def __enter__(self) -> Peak:
        self.before = self.most = self._now()
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()
        self.after = self._now()
        self.most = torch.cuda.max_memory_allocated() / MIB if self._device == "cuda" else max(self.most, self.after)

    def _now(self) -> float:
        if self._device == "cuda":
            return torch.cuda.memory_allocated() / MIB
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) / 1024

    def _sample(self) -> None:
        while not self._done.wait(0.002):
            if self._device == "cpu":
                self.most = max(self.most, self._now())


def main() -> int:
    """The command."""
    job = json.loads(sys.argv[1])
    device = job["device"] or choose().device
    if precision(job["precision"]).capability != (0, 0) and device == "cpu":
        print(json.dumps({"skipped": "needs a GPU"}))
        return 0
    with Peak(device) as peak:
        started = time.perf_counter()
        loaded = load(Backbone(model=job["model"], load=job["precision"]), None, device)
        seconds = time.perf_counter() - started
    found: dict[str, Any] = {
        "load_seconds": seconds,
        "kept": peak.after - peak.before,
        "load_peak": peak.most - peak.before,
        "weights": stored_bytes(loaded.model) / MIB,
        "parameters": parameters(loaded),
        "machine": {
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "processor": processor().model,
            "threads": threads(),
            "torch": torch.__version__,
        },
        **speed(loaded, peak.before, device),
        **errors(loaded, Path(job["exact"])),
    }
    print(json.dumps(found))
    return 0


def parameters(loaded: LoadedBackbone) -> int:
    """Of the encoder, embeddings included."""
    return loaded.info.embedding_parameters + loaded.info.layer_parameters


def stored_bytes(model: nn.Module) -> int:
    """Bytes of all tensors of a model, scales of quantised ones included."""
    return sum(one.nbytes for one in model.state_dict().values() if isinstance(one, Tensor))


def speed(loaded: LoadedBackbone, before: float, device: str) -> dict[str, float]:
    """Tokens per second of training and evaluating, and the memory that each takes at most."""
    encoder = BenchEncoder("", loaded.info, PackedEncoder(loaded.model))
    usual, of_large = TEXTS[device]
    texts = of_large if parameters(loaded) > MANY else usual
    found: dict[str, float] = {"texts": texts}
    for name, point, read in (("train", Point(LENGTH, texts), texts), ("evaluate", Point(LENGTH, 0), 4 * texts)):
        with Peak(device) as peak:
            _, seconds = measured(encoder, point, LENGTH * read)
        found |= {f"{name}_tokens": LENGTH * read / seconds, f"{name}_peak": peak.most - before}
    return found


def errors(loaded: LoadedBackbone, exact: Path) -> dict[str, float]:
    """Distances to float32, whose numbers are written to a file where there is none yet."""
    here = numbers(PackedEncoder(loaded.model))
    if not exact.exists():
        save_file(here, exact)
    there = load_file(exact)
    distance = {name: float((here[name] - there[name]).norm() / there[name].norm()) for name in there}
    by_layer = [value for name, value in distance.items() if name.startswith("layer")]
    cosine = nn.functional.cosine_similarity(here["gradients"], there["gradients"], dim=0)
    return {"layer_error": max(by_layer), "logit_error": distance["logits"], "gradient_cosine": float(cosine)}


def numbers(encoder: PackedEncoder) -> dict[str, Tensor]:
    """Hidden states after every layer, the logits of a random head, and the gradients of a random LoRA."""
    tokens = np.random.default_rng(0).integers(4, 30, size=sum(LENGTHS)).astype(np.int32)
    rows = np.arange(len(tokens))
    batch = placed(pack(Sequences(tokens, np.array(LENGTHS), rows, [len(LENGTHS)], [len(rows)])), encoder.place)
    depth = len(encoder.layers)
    with torch.no_grad():
        states = [one.float().cpu() for one in encoder.states(batch, tuple(range(1, depth + 1)))]
    torch.manual_seed(1)
    head = torch.randn(LABELS, encoder.hidden) / encoder.hidden**0.5
    method = Lora(rank=4, target_modules=("query", "value", "intermediate"))
    shape = Shape(depth, encoder.hidden, int(encoder.config.intermediate_size))
    drawn = {one.name: torch.randn(1, *one.shape) * 0.02 for one in adapter_parameters(method, shape)}
    tensors = {name: encoder.place(tensor).requires_grad_() for name, tensor in drawn.items()}
    hidden = encoder(batch, adapters([Slot(method, tensors)], CellDropout(0.0, (0,)))).float()
    direction = encoder.place(torch.randn(hidden.shape))
    gradients = torch.autograd.grad((hidden * direction).sum(), list(tensors.values()))
    return {
        **{f"layer{number + 1}": state for number, state in enumerate(states)},
        "logits": states[-1] @ head.T,
        "gradients": torch.cat([one.float().cpu().flatten() for one in gradients]),
    }


if __name__ == "__main__":
    raise SystemExit(main())
