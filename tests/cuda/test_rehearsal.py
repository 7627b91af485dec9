"""The GPU path, rehearsed on a CPU: every way through the engine under fake CUDA tensors, launched, recorded, replayed.

What a rehearsal sees: operands on different devices or in number formats that do not go together; waiting for the
device; copies from pageable memory; anything in a recording (CUDA graph) that CUDA refuses, or that a replay would
repeat with old numbers; nodes of autograd that outlive a step and would draw their stream into a recording; how many
operators a step launches.

What it CANNOT see:
- numbers: nothing is computed, losses are zero and always finite; so neither a wrong result nor a diverging cell;
- errors of cuBLAS, cuDNN, FlashAttention and Triton: shapes, head sizes or alignments that a kernel does not take, and
  how many kernels one operator is;
- memory: how much is taken, fragmentation, what a pool of recordings holds on to, a lack of it;
- time, and whether a recording pays; ordering between the loader's threads and the device;
- precisions of bitsandbytes (int8, nf4): their weights are a kind of tensor that cannot be fake. Their steps are
  launched;
- the reference lane: its libraries swap parameters as they move them, which fake ones do not bear;
- several GPUs.

`tools/gpu_check.py` looks at these on a GPU (docs/how-to/gpu.md).
"""

from __future__ import annotations

import pytest

from tests.cuda.budgets import REPLAYED, budget
from tests.cuda.cases import ARCHITECTURES, Case, cases, quick
from tests.cuda.conftest import Rehearse, tables
from tests.cuda.play import Told
from tests.cuda.rules import CROSSED, FROM_HOST, MIXED, PAGEABLE, WAITS
from tests.cuda.works import STEPS

_UNMENDED = {
    # Masks are keyed by numbers of the host, layer by layer (defect A4 of the GPU path).
    "lora-adapter-drop": (PAGEABLE, WAITS, FROM_HOST),
    "lora-dropout": (PAGEABLE,),
}


_PLANTED = {"a node of the default stream is held": CROSSED, "the host asks for a loss": WAITS}
"""Faults that are planted whenever the common ways are rehearsed; tests/cuda/test_planted.py has one for each check."""

pytestmark = pytest.mark.timeout(1800)  # a process does all cases of a fixture


@pytest.fixture(scope="module")
def common(rehearse: Rehearse) -> dict[str, Told]:
    (sound, *_) = tables(quick())
    return rehearse([*tables(quick()), *({**sound, "planted": fault} for fault in _PLANTED)])


@pytest.fixture(scope="module", params=ARCHITECTURES)
def every(request: pytest.FixtureRequest, rehearse: Rehearse) -> dict[str, Told]:
    return rehearse(tables(cases(request.param)))


@pytest.mark.slow
@pytest.mark.parametrize("case", quick(), ids=lambda case: case.name)
def test_common_ways(case: Case, common: dict[str, Told]) -> None:
    check(case, common[case.name])


@pytest.mark.slow
@pytest.mark.parametrize("fault", _PLANTED)
def test_a_planted_fault_is_found(fault: str, common: dict[str, Told]) -> None:
    assert any(problem[1] == _PLANTED[fault] for problem in _found(common[fault], STEPS))


@pytest.mark.slow
@pytest.mark.long
def test_every_way(every: dict[str, Told]) -> None:
    wrong = {}
    for case in (one for architecture in ARCHITECTURES for one in cases(architecture) if one.name in every):
        try:
            check(case, every[case.name])
        except AssertionError as error:
            wrong[case.name] = str(error)[:2000]
    assert not wrong, "\n\n".join(f"{name}: {error}" for name, error in wrong.items())


def check(case: Case, told: Told) -> None:
    """Whether a case went as it is to go on a GPU."""
    assert not told.error, told.error
    match case.work:
        case "train":
            _check_training(case, told)
        case "predict" | "embed":
            assert told.facts["passes"] > 1, "the host lays a pass out while another is computed"
            found = [one for one in _found(told, ("passes",)) if not _expected(case, one)]
            assert not found, "a pass is laid out in pinned memory, and read back asynchronously"


def _expected(case: Case, problem: tuple[str, str, str, str, int]) -> bool:
    """Whether a problem of an evaluation is none: a whole encoder's weights are sent once, and are not pinned first."""
    _, kind, _, place, _ = problem
    sent = case.spec.trains_backbone and kind == PAGEABLE and "engine/predict.py" in place.split(" < ")[0]
    return sent or (_promotes(case) and kind.startswith(MIXED))


def _promotes(case: Case) -> bool:
    """Whether sums of two number formats are meant: embeddings stored in float16, and autocast over float32 weights."""
    return case.precision == "float16" or (case.spec.trains_backbone and case.precision == "bfloat16")


def _check_training(case: Case, told: Told) -> None:
    known = _UNMENDED.get(case.method, ())
    if _promotes(case):
        known = (*known, MIXED)
    found = [one for one in _found(told, STEPS) if not one[1].startswith(known or ("nothing",))]
    if case.kept:  # hidden states that are kept in the host's memory are brought there in the first step, once
        found = [one for one in found if one[:2] != ("first", WAITS)]
    assert not found, "a step asks the host for nothing"
    facts = told.facts
    assert facts["aligned"]
    assert facts["format"] == _hidden(case)
    if facts["outlived"]:
        assert not facts["records"], "what outlives a step belongs to the stream it was made on"
    once = 1 if _recordable(case) else 0
    assert (facts["recorded"], facts["replayed"], facts["refused"]) == (once, once * (len(STEPS) - 1), False)
    if case.task == "classification" and not case.kept:
        most = budget(case.method, case.precision)
        assert most is None or told.launches["first"] <= most, "a step launches more than its budget (budgets.py)"
    if once:
        assert told.launches["again"] <= REPLAYED, "a replayed step copies its numbers and no more"


def _found(told: Told, stages: tuple[str, ...]) -> list[tuple[str, str, str, str, int]]:
    return [problem for problem in told.problems if problem[0] in stages]


def _hidden(case: Case) -> str:
    """The number format of hidden states, of full fine-tuning that of its weights."""
    wide = case.precision in ("float32", "float16") or case.spec.trains_backbone
    return "torch.float32" if wide else "torch.bfloat16"


def _recordable(case: Case) -> bool:
    """Whether a step of this shape is replayed from its second time on."""
    spec = case.spec
    return (
        case.precision in ("bfloat16", "int8-rows", "fp8")
        and spec.drops == 0.0
        and spec.dropped_layers == 0
        and not spec.trains_backbone
        and case.task not in ("questions", "text")
    )
