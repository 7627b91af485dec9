"""The `datasets` library itself, which is imported here alone and only to prepare what is not prepared yet.

It makes Arrow files of a configuration's data. Code of a dataset is never run: loading scripts are refused, as is every
builder of the library that is not among `BUILDERS` (others unpickle, ask databases or decode pictures).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from adapterx import hub
from adapterx.tasks.sources.errors import DataError
from adapterx.tasks.sources.hub.files import PIN
from adapterx.wording import plain

Builder = Literal["arrow", "csv", "json", "parquet", "text"]
"""Those of the library's own that read files whose columns need not be named first."""
BUILDERS = ("arrow", "conll", "csv", "json", "parquet", "text")
"""Those that only read tables and text; a dataset's card may name columns."""
_OLDEST = 4
"""The first version that knows no loading scripts."""
_INSTALL = "pip install 'adapterx[datasets]'"


@dataclass(frozen=True)
class DatasetRequest:
    """A configuration of a dataset, as `load_dataset` is asked for it."""

    path: str
    """A dataset's id on the Hub, a directory, or a builder's name."""
    name: str
    """What messages call it."""
    config: str | None = None
    """The dataset's default one where null."""
    commit: str = ""
    """Of a dataset on the Hub."""
    files: tuple[Path, ...] = ()
    """What a builder reads, as the split `train`."""

    @property
    def repository(self) -> hub.Repository:
        """The dataset on the Hub."""
        return hub.Repository(self.path, "dataset", PIN)

    @property
    def within(self) -> str:
        """How the address of every file begins that may be read."""
        if self.commit:
            return f"hf://datasets/{self.path}@{self.commit}/"
        return "" if self.files else f"{Path(self.path).resolve().as_posix()}/"


def prepare(asked: DatasetRequest, into: Path) -> Mapping[str, list[Path]]:
    """Make Arrow files of all splits of a configuration, and tell the files of each.

    Args:
        into: the directory for them.

    Raises DataError naming the dataset, HubError.
    """
    datasets = _library()
    if asked.commit:
        hub.reach(asked.repository, asked.commit)
    with _quiet(datasets), _in_words(asked):
        builder = datasets.load_dataset_builder(
            asked.path,
            asked.config,
            data_files={"train": list(map(str, asked.files))} if asked.files else None,
            revision=asked.commit or None,
            cache_dir=str(into),
        )
        _check(builder, asked)
        builder.download_and_prepare()
        # What was unpacked is in the Arrow files now.
        shutil.rmtree(into / "downloads", ignore_errors=True)
        return {str(split): _files(builder, str(split)) for split in builder.info.splits or ()}


def _files(builder: Any, split: str) -> list[Path]:
    """The Arrow files of a split; none of one without rows."""
    made = builder.as_dataset(split=split, in_memory=False)
    return [Path(one["filename"]) for one in made.cache_files]


def _library() -> Any:
    """The library, if it is here and knows no scripts."""
    try:
        import datasets
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == "datasets"
        why = "is not installed" if missing else f"cannot be imported ({plain(str(error), longest=200)})"
        raise DataError(f"sources of the kind datasets need the package datasets, which {why}: {_INSTALL}") from None
    version = str(datasets.__version__)
    if int(version.partition(".")[0]) < _OLDEST:
        raise DataError(f"datasets {version} runs scripts of datasets; versions from {_OLDEST} do not: {_INSTALL}")
    return datasets


def _check(builder: Any, asked: DatasetRequest) -> None:
    """Refuse a builder that does more than read, and files that lie elsewhere, as a dataset's card may name."""
    module = next((one.__module__ for one in type(builder).__mro__ if "packaged_modules" in one.__module__), "")
    kind = module.rpartition(".")[2]
    if kind not in BUILDERS:
        raise DataError(
            f"{asked.name}: is read by the builder {plain(kind or type(builder).__name__)}, and only"
            f" {', '.join(BUILDERS)} are used here; save it with `save_to_disk`, and name the `directory`"
        )
    for files in (builder.config.data_files or {}).values():
        for file in map(str, files):
            if not file.startswith(asked.within):
                raise DataError(f"{asked.name}: names the file {plain(file, 200)}, which is none of its own")


@contextmanager
def _quiet(datasets: Any) -> Iterator[None]:
    """No bars, no warnings, and no note of the use to a server that counts; afterwards everything as it was."""
    bars, counts = datasets.are_progress_bars_disabled(), datasets.config.HF_UPDATE_DOWNLOAD_COUNTS
    level = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False
    try:
        yield
    finally:
        datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = counts
        datasets.logging.set_verbosity(level)
        if not bars:
            datasets.enable_progress_bars()


@contextmanager
def _in_words(asked: DatasetRequest) -> Iterator[None]:
    """Turn whatever the library raises into an error that names the dataset."""
    try:
        yield
    except (hub.HubError, DataError, MemoryError):
        raise
    except Exception as error:  # pandas', pyarrow's, YAML's and many of the library's own
        if asked.commit and (unanswered := _unanswered(error)) is not None:
            with hub.in_words(asked.repository, asked.commit):
                raise unanswered from None
        raise DataError(f"{asked.name}: {_said(error, asked)}") from error


def _unanswered(error: BaseException | None) -> BaseException | None:
    """What the Hub's client raised, if the Hub's answer, or its silence, is what an error comes of."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    known = (HfHubHTTPError, LocalEntryNotFoundError, ConnectionError, TimeoutError)
    while error is not None:
        # The transports' errors share no base, and which one is used depends on the client's version.
        if isinstance(error, known) or type(error).__module__.partition(".")[0] in ("requests", "httpx", "aiohttp"):
            return error
        error = error.__cause__ or error.__context__
    return None


def _said(error: BaseException, asked: DatasetRequest) -> str:
    """Why a dataset cannot be prepared."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = plain(str(error).strip() or type(error).__name__, longest=300)
    if isinstance(error, RuntimeError) and "scripts are no longer supported" in text:
        cure = "; `kind: hub` may find it converted, on the branch refs/convert/parquet" if asked.commit else ""
        return f"needs a script, and no code of a dataset is run ({text}){cure}"
    return f"the datasets library cannot read it ({text})"
