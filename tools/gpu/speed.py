"""How fast bundles train and evaluate, and where a step goes."""

from __future__ import annotations

import time

import torch

from adapterx.backbones.precisions import PRECISIONS
from adapterx.engine.predict import TrainedCell, predict
from adapterx.engine.prefix import PrefixCache
from adapterx.methods.method import Slot
from tools.bench import ours
from tools.bench.data import languages
from tools.gpu.check import Check
from tools.gpu.made import bundle, cells, encoder, kernels, pace, variant


def usual(check: Check) -> str:
    """The shape that most is asked of."""
    return "base" if check.large else "tiny"


def _sizes(check: Check) -> dict[str, int]:
    return {} if check.large else {"batch": 4, "texts": 16}


def sixteen(check: Check) -> None:
    """K = 16: recorded, launched, by the library's kernels alone; and a profile of one step."""
    shape = usual(check)
    enc, own = encoder(shape, check.device), cells(shape, 16, **_sizes(check))
    pace(check, f"{shape} K=16", enc, own)
    pace(check, f"{shape} K=16, launched", enc, own, steps=16, warm_up=4, graphs=False)
    with kernels("none"):
        pace(check, f"{shape} K=16, the library's kernels", enc, own, steps=32)
    made = bundle(enc, own, graphs=False)
    try:
        for _ in range(3):
            made.step()
        made.book()
        check.settle()
        activities = [torch.profiler.ProfilerActivity.CPU]
        if check.cuda:
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        with torch.profiler.profile(activities=activities) as profile:
            made.step()
            check.settle()
    finally:
        made.close()
    key = "self_cuda_time_total" if check.cuda else "self_cpu_time_total"
    table = profile.key_averages().table(sort_by=key, row_limit=45, max_name_column_width=90)
    (check.out / "profile.txt").write_text(table, encoding="utf-8")
    on_device = [one for one in profile.events() or () if one.device_type.name == "CUDA"]
    check.note("kernels per step, launched", len(on_device))
    check.note("GPU busy ms per step, launched", round(sum(one.device_time for one in on_device) / 1e3, 3))


def more(check: Check) -> None:
    """Other numbers of cells, and bottlenecks."""
    shape = usual(check)
    enc = encoder(shape, check.device)
    for count in (1, 4, 32):
        pace(check, f"{shape} K={count}", enc, cells(shape, count, **_sizes(check)), steps=32)
    pace(check, f"{shape} K=16, bottlenecks", enc, cells(shape, 16, method="bottleneck", **_sizes(check)), steps=32)


def prefix(check: Check) -> None:
    """Adapters in the top 4 layers, with hidden states below them kept and computed."""
    shape, sizes = usual(check), {"texts": 256} if check.large else _sizes(check)
    enc, own = encoder(shape, check.device), cells(shape, 16, layers=4, **sizes)
    kept = PrefixCache(enc, 32 << 30)
    made = bundle(enc, own, kept)
    for _ in range(-(-sizes["texts"] // own[0].settings.batch_size)):  # an epoch fills it
        made.step()
    made.book()
    made.close()
    pace(check, f"{shape} K=16 top 4, prefix kept", enc, own, prefix=kept)
    pace(check, f"{shape} K=16 top 4, prefix computed", enc, own, steps=24)


def evaluate(check: Check) -> None:
    """Sweeps of one cell and of sixteen over four languages."""
    shape, head = usual(check), ours._head()
    enc = encoder(shape, check.device)
    pools = [ours._encoded(part) for part in languages(4, 1024 if check.large else 4)]
    for count in (1, 16):
        one = variant(shape, count)
        trained = [
            (
                TrainedCell(
                    (Slot(ours.method(one), ours.adapter_tensors(one, seed)),),
                    {f"{head.prefix}{name}": tensor for name, tensor in ours.head_tensors(one, seed).items()},
                ),
                head,
            )
            for seed in range(count)
        ]
        predict(enc, trained, pools)
        check.settle()
        begun = time.perf_counter()
        predict(enc, trained, pools)
        rate = count * sum(map(len, pools)) / (time.perf_counter() - begun)
        check.note(f"{shape} evaluation K={count}, examples per second", round(rate))


def large(check: Check) -> None:
    """XLM-R large, K = 16."""
    shape = "large" if check.large else "tiny"
    sizes = {"texts": 512} if check.large else _sizes(check)
    pace(check, f"{shape} K=16 (large)", encoder(shape, check.device), cells(shape, 16, **sizes), steps=24, warm_up=60)


def xl(check: Check) -> None:
    """XLM-R XL, K = 4 and K = 8."""
    shape = "xl" if check.large else "tiny"
    sizes = {"texts": 256} if check.large else _sizes(check)
    enc = encoder(shape, check.device)
    for count in (8, 4):
        pace(check, f"{shape} K={count} (XL)", enc, cells(shape, count, **sizes), steps=12, warm_up=24)


def precisions(check: Check) -> None:
    """K = 4 in each precision that this machine has what it needs for; one that fails leaves the others."""
    shape = usual(check)
    own = cells(shape, 4, **_sizes(check))
    for name, precision in PRECISIONS.items():
        if not check.cuda and precision.capability > (0, 0):
            continue
        try:
            pace(check, f"{shape} K=4, {name}", encoder(shape, check.device, load=name), own, steps=24, warm_up=60)
        except Exception as error:  # a package that is missing, or a kernel
            check.note(f"{shape} K=4, {name}: failed", f"{type(error).__name__}: {error}"[:300])
