"""Whether `recipes/quickstart.yaml` will run here: why not, each reason with what to do; and what is only slower."""

from __future__ import annotations

from collections.abc import Iterator

from adapterx import places
from adapterx.backbones import embedded, manifest
from adapterx.doctor.discreet import discreet
from adapterx.doctor.examined import Examined
from adapterx.doctor.libraries import missing
from adapterx.errors import AdapterxError

MEMORY = 1_900_000_000
"""Bytes that the quickstart takes at least, its libraries included: records of single cells on six layers say 1.86 to
1.89 GB. With more free, bundles are larger and take more."""
CHECKPOINT = 500_000_000
"""Bytes of the embedded backbone, unpacked in the cache once."""
STORE = 60_000_000
"""Bytes of room for the quickstart's results: its plan counts 20 MB, tokens and the report come on top."""
_GIGABYTE = 1e9


def reasons(found: Examined) -> list[str]:
    """Why the quickstart will not run, each with what to do; none if it will."""
    return [*missing(found.libraries), *_backbone(), *_places(found), *_memory(found)]


def advice(found: Examined) -> list[str]:
    """What runs, but slower than it could, or less freely."""
    return [*_processor(found), *_gpu(found), *_surroundings(found)]


def _backbone() -> Iterator[str]:
    """The embedded backbone needs no download: it comes out of a package."""
    try:
        embedded.read_header()
    except (AdapterxError, OSError, ValueError) as error:
        yield discreet(f"the embedded backbone cannot be read: {error}")


def is_unpacked() -> bool:
    """Whether the embedded backbone lies in the cache."""
    try:
        directory = places.cache() / "backbones" / f"{embedded.NAME}-{embedded.source_key()}"
        return (directory / manifest.NAME).is_file()
    except (AdapterxError, OSError, ValueError):
        return False


def _places(found: Examined) -> Iterator[str]:
    if found.store.error:
        yield f"nothing can be written to the store: {found.store.error}"
    elif found.store.free is not None and found.store.free < STORE:
        yield (
            f"the store's disk has {_gb(found.store.free)} left, and the quickstart's results take {_gb(STORE)}: make"
            f" room, or choose another place with --store or {places.STORE}"
        )
    if is_unpacked():
        return  # the cache is read alone
    if found.cache.error:
        yield f"nothing can be written to the cache, where the embedded backbone is unpacked: {found.cache.error}"
    elif found.cache.free is not None and found.cache.free < CHECKPOINT:
        yield (
            f"the cache's disk has {_gb(found.cache.free)} left, and the embedded backbone takes {_gb(CHECKPOINT)}:"
            f" make room, or choose another place with {places.CACHE}"
        )


def _memory(found: Examined) -> Iterator[str]:
    free = found.memory.free
    if free is not None and free < MEMORY:
        limit = "" if found.memory.limit is None else f" (a limit of {_gb(found.memory.limit)} holds for this process)"
        yield (
            f"{_gb(free)} of memory is free{limit}, and the quickstart takes {_gb(MEMORY)}: close other programs, or"
            " use a machine or a container with more"
        )


def _processor(found: Examined) -> Iterator[str]:
    instructions = found.processor.instructions
    if found.used is None and instructions is not None and "avx2" not in instructions:
        yield "the processor has no avx2, so products take several times as long; nothing is to be done but another one"
    if found.processor.cores < 2:
        yield "there is one core: batches are prepared between steps; give the process two if you can"
    if found.threads < found.processor.cores and found.used is None:
        yield (
            f"a computation uses {found.threads} of {found.processor.cores} cores: set OMP_NUM_THREADS to those that"
            " are really free"
        )


def _gpu(found: Examined) -> Iterator[str]:
    if found.used is not None or not found.gpus:
        return
    name = found.gpus[0].name
    if found.gpu_error:
        yield f"torch does not compute on {name} ({found.gpu_error})"
    elif found.cuda_build:
        yield f"torch does not see {name}: look after its driver, and CUDA_VISIBLE_DEVICES"
    elif any(one.wanted.name == "torch" and one.usable for one in found.libraries):
        yield f"torch is a build for CPUs, so {name} lies idle: pip install torch from an index of builds with CUDA"


def _surroundings(found: Examined) -> Iterator[str]:
    if found.memory.swap > _GIGABYTE / 10:
        yield f"{_gb(found.memory.swap)} lies in swap space: whatever is read from there waits for the disk"
    if found.offline:
        yield "HF_HUB_OFFLINE is set: of the Hub there is what lies in its cache; the quickstart needs nothing of it"
    if found.cache.error and is_unpacked():
        yield f"nothing can be written to the cache: {found.cache.error}"
    for one in found.libraries:
        if one.error and not one.wanted.required:
            yield f"{one.wanted.name} {one.version} cannot be imported ({one.error}): {one.wanted.without}"


def _gb(count: int) -> str:
    return f"{count / _GIGABYTE:.1f} GB" if count >= _GIGABYTE / 10 else f"{count / 1e6:.0f} MB"
