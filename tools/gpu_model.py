"""Predicts what a training step takes on a GPU, before and after each kernel of the engine's own; needs no GPU.

python -m tools.gpu_model              the cases of the report, into reports/gpu/predicted.md
python -m tools.gpu_model base 16      one case, to the terminal, class by class

Operations are recorded from the engine as it is (`tools.gpu_cost.record`); their times are a model (`times`).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapterx.kernels.choice import NAMES, Name
from tools.bench import shapes
from tools.bench.ours import _cells
from tools.bench.session import Job
from tools.bench.variants import Variant, fused
from tools.gpu_cost.record import Step, recorded, shapes_alone, with_method
from tools.gpu_cost.times import ASSUMED, Card, Costs, costs

REPORT = Path("reports/gpu/predicted.md")
ORDER: tuple[tuple[str, tuple[Name, ...]], ...] = (
    ("the library's kernels", ()),
    ("attention", ("attention",)),
    ("lora, products", ("lora", "products")),
    ("ragged", ("ragged",)),
    ("norm", ("norm",)),
    ("gelu", ("gelu",)),
    ("adamw", ("adamw",)),
)
"""Each adds to what is above it."""


@dataclass(frozen=True)
class Case:
    """One bundle."""

    shape: str
    cells: int
    method: str = "lora"
    batch: int = 32
    goal: float | None = None
    """Milliseconds a cell and step that were aimed at."""
    each: bool = False
    """Whether kernels are added one after another, not all at once."""

    @property
    def title(self) -> str:
        """For people."""
        batch = "" if self.batch == 32 else f", batch {self.batch}"
        return f"{self.shape}, K = {self.cells}, {self.method}{batch}"


CASES = (
    Case("base", 16, goal=1.05, each=True),
    Case("large", 16, goal=3.2),
    Case("xl", 8, goal=25.0),
    Case("base", 1),
    Case("base", 4),
    Case("base", 16, batch=8),
    Case("base", 16, "bottleneck"),
    Case("base", 16, "lora, dropout 0.1"),
)


def step(case: Case, names: Sequence[Name]) -> Step:
    """The first step of a case's bundle, recorded from the engine at its real size."""
    from transformers import XLMRobertaModel, XLMRobertaXLModel

    shape = shapes.SHAPES[case.shape]
    kinds: Any = {"xlm-roberta": XLMRobertaModel, "xlm-roberta-xl": XLMRobertaXLModel}
    with shapes_alone(lambda: kinds[shape.architecture](shapes.configuration(shape, 0.0), add_pooling_layer=False)) as (
        encoder,
        mode,
    ):
        return recorded(encoder, cells_of(case), names, mode)


def cells_of(case: Case) -> list[Any]:
    """The trainings of the benchmark, from their seeds."""
    from adapterx.methods.bottleneck.spec import Bottleneck
    from adapterx.methods.lora.spec import Lora

    variant = Variant("model", "train", "tiny", tuple(fused(case.cells)), batch=case.batch, texts=512)
    method: Any = Lora(rank=8, alpha=16.0, target_modules=("query", "value"))
    if case.method == "bottleneck":
        method = Bottleneck(reduction_factor=16.0)
    elif case.method != "lora":
        method = method.model_copy(update={"dropout": 0.1})
    return with_method(_cells(Job(variant, variant.contenders[0], "cuda")), method)


def stages(case: Case, card: Card) -> list[tuple[str, Step, Costs]]:
    """A case without kernels of the engine's own, and with more and more of them."""
    found: list[tuple[str, Step, Costs]] = []
    names: tuple[Name, ...] = ()
    for title, more in ORDER if case.each else (ORDER[0], ("every kernel", NAMES)):
        names = (*names, *more)
        one = step(case, names)
        found.append((title, one, costs(one, card)))
    return found


def main() -> None:
    """Write the report, or print one case."""
    card = Card()
    if len(sys.argv) > 2:
        case = Case(sys.argv[1], int(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "lora", each=True)
        print("\n".join(_classes(case, stages(case, card))))
        return
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(page([(case, stages(case, card)) for case in CASES]), encoding="utf-8")
    print(f"{REPORT} is written")


def page(found: Sequence[tuple[Case, list[tuple[str, Step, Costs]]]]) -> str:
    """The report."""
    lines = [
        "# Predicted times of training steps on a GPU",
        "",
        "**A PREDICTION. Nothing on this page was measured on a GPU.** `python -m tools.gpu_model` recorded the",
        "operations of a step from the engine as it is, with tensors that have shapes alone, and multiplied them with",
        "the assumptions below. Texts have the lengths of the benchmark's (`tools/bench/data.py`). Times are of the",
        "card, of recorded steps: what the host takes to launch or to copy is not in them.",
        "",
        "| case | ms a cell and step, before | after | aimed at | kernels before | after |",
        "|---|---|---|---|---|---|",
    ]
    for case, steps in found:
        (_, _, before), (_, _, after) = steps[0], steps[-1]
        goal = "" if case.goal is None else f"{case.goal:g}" + (" (missed)" if _each(case, after) > case.goal else "")
        each = f"{_each(case, before):.2f} | {_each(case, after):.2f}"
        lines.append(f"| {case.title} | {each} | {goal} | {before.total.kernels} | {after.total.kernels} |")
    lines += ["", "## Assumptions", "", "| | value | what it is |", "|---|---|---|"]
    lines += [f"| {name} | {getattr(Card(), name):g} | {what} |" for name, what in ASSUMED]
    for case, steps in found:
        lines += ["", f"## {case.title}", "", *_classes(case, steps)]
    return "\n".join(lines) + "\n"


def _each(case: Case, one: Costs) -> float:
    return 1e3 * one.total.seconds / case.cells


def _classes(case: Case, steps: list[tuple[str, Step, Costs]]) -> list[str]:
    """Tables of one case: each kernel's part, and the classes before and after."""
    (_, start, before), (_, end, after) = steps[0], steps[-1]
    filled = ", ".join(f"{one.rows / one.tokens - 1:.1%} {name}" for one, name in ((start, "padded"), (end, "ragged")))
    lines = [f"{start.tokens:,} tokens in {len(start.operations)} operations; filler: {filled}.", ""]
    lines += ["| with | kernels | TFLOP | GB | ms | ms a cell | saves |", "|---|---|---|---|---|---|---|"]
    last = before.total.seconds
    for title, _, one in steps:
        total = one.total
        saved = f"{(last - total.seconds) / before.total.seconds:.1%}" if title != steps[0][0] else ""
        lines.append(
            f"| {title} | {total.kernels} | {total.flop / 1e12:.2f} | {total.bytes / 1e9:.1f} |"
            f" {1e3 * total.seconds:.2f} | {_each(case, one):.3f} | {saved} |"
        )
        last = total.seconds
    lines += ["", "| class | kernels before | ms | kernels after | ms |", "|---|---|---|---|---|"]
    names = sorted({*before.classes, *after.classes}, key=lambda name: -before.classes[name].seconds)
    for name in names:
        parts = (f"{one.classes[name].kernels} | {1e3 * one.classes[name].seconds:.2f}" for one in (before, after))
        lines.append(f"| {name} | {' | '.join(parts)} |")
    return lines


if __name__ == "__main__":
    main()
