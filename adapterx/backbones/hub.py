"""Checkpoints on the Hugging Face Hub: which commit a name means, its configuration, its files.

Only the files named here are fetched: no code, no pickles. A pinned commit that is in the local cache needs no network.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from adapterx.backbones.checkpoint import CONFIG, INDEX, TOKENIZER, WEIGHTS, check_names, shard_names, weight_files
from adapterx.backbones.errors import BackboneError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_COMMIT = re.compile(r"[0-9a-f]{40}")


def resolve(model: str, revision: str | None) -> tuple[str, Path]:
    """The commit that `revision` (default: the main branch) means now, and the path of its `config.json`."""
    from huggingface_hub import hf_hub_download

    if revision and (cached := pinned(model, revision, CONFIG)):
        return revision, cached
    commit, names = look_up(model, revision)
    check_names(names, f"{model} on the Hub")
    with _in_words(model, revision):
        return commit, Path(hf_hub_download(model, CONFIG, revision=commit))


def download(model: str, commit: str) -> Path:
    """A local directory with the checkpoint's files at a commit."""
    from huggingface_hub import hf_hub_download

    cached = _cached(model, CONFIG, commit)
    if cached and _complete(cached.parent, model):
        return cached.parent
    _, names = look_up(model, commit)
    check_names(names, f"{model} on the Hub")
    with _in_words(model, commit):
        directory = Path(hf_hub_download(model, CONFIG, revision=commit)).parent
        hf_hub_download(model, TOKENIZER, revision=commit)
        weights = [WEIGHTS]
        if WEIGHTS not in names:
            weights = shard_names(Path(hf_hub_download(model, INDEX, revision=commit)), model)
        for name in weights:
            hf_hub_download(model, name, revision=commit)
    return directory


def fetch(model: str, commit: str, names: Sequence[str]) -> Path:
    """The local directory of a commit, once the files of these names are there, fetched in this order."""
    from huggingface_hub import hf_hub_download

    with _in_words(model, commit):
        for name in names:
            path = Path(hf_hub_download(model, name, revision=commit))
    return path.parents[names[-1].count("/")]


def pinned(model: str, revision: str | None, name: str) -> Path | None:
    """The path of a file in the local cache, if `revision` is a full commit and the file was fetched before."""
    return _cached(model, name, revision) if revision and _COMMIT.fullmatch(revision) else None


def _cached(model: str, name: str, commit: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    with _in_words(model, commit):
        found = try_to_load_from_cache(model, name, revision=commit)
    return Path(found) if isinstance(found, str) else None


def _complete(directory: Path, model: str) -> bool:
    names = {path.name for path in directory.iterdir()}
    try:
        check_names(names, model)
        weight_files(directory, model)
    except BackboneError:
        return False
    return True


def look_up(model: str, revision: str | None) -> tuple[str, set[str]]:
    """The commit of a revision, and the names of the files there."""
    from huggingface_hub import HfApi

    with _in_words(model, revision):
        facts = HfApi().model_info(model, revision=revision)
    if facts.sha is None:
        raise BackboneError(f"the Hub names no commit for {model} at {revision or 'main'}")
    return facts.sha, {sibling.rfilename for sibling in facts.siblings or ()}


@contextmanager
def _in_words(model: str, revision: str | None) -> Iterator[None]:
    """Turn whatever the Hub's client raises into a BackboneError."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield
    except BackboneError:
        raise
    except HFValidationError as error:
        raise BackboneError(f"{model!r} is neither a directory here nor a Hub id such as 'name/model'") from error
    except GatedRepoError as error:
        raise BackboneError(
            f"{model} is gated: accept its conditions on its Hub page, then log in with `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise BackboneError(
            f"there is neither a directory {model!r} here nor a model of that name on the Hub that you may see: check "
            "the name; if the model is private, log in with `hf auth login`"
        ) from error
    except RevisionNotFoundError as error:
        raise BackboneError(
            f"{model} has no revision {revision!r} on the Hub: give a branch, a tag or a commit"
        ) from error
    except LocalEntryNotFoundError as error:
        if isinstance(error.__cause__, HfHubHTTPError):
            raise BackboneError(_answered(error.__cause__, model)) from error
        raise BackboneError(_unreachable(model, revision)) from error
    except HfHubHTTPError as error:
        raise BackboneError(_answered(error, model)) from error
    # The clients' transport errors share no base: requests' are OSErrors, httpx's are not.
    except Exception as error:
        raise BackboneError(_unreachable(model, revision)) from error


def _answered(error: HfHubHTTPError, model: str) -> str:
    """An HTTP status in words."""
    status = error.response.status_code if error.response is not None else None
    if status in (401, 403):
        return f"the Hub refuses your login for {model} ({status}): renew it with `hf auth login`, or check HF_TOKEN"
    return f"the Hub does not give {model} now (HTTP status {status}): try again later"


def _unreachable(model: str, revision: str | None) -> str:
    from huggingface_hub import constants

    why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the Hub cannot be reached"
    if revision and _COMMIT.fullmatch(revision):
        return f"{model} at {revision[:12]} is not whole in the local Hub cache, and {why}"
    return (
        f"there is no directory {model!r} here, and {why} to look it up; "
        "with its `revision` pinned to a full commit, a downloaded model needs no network"
    )
