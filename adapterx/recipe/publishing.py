"""What a recipe says of publishing its adapters on the Hub."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from adapterx.config.fields import Model, Name, Strings

HUB_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9])?"
"""A user, an organisation, or the name of a repository."""
BASE_MODEL = rf"^{HUB_NAME}(/{HUB_NAME})?(@[^\s@]+)?$"
LibraryName = Literal["peft", "adapterhub"]
Dtype = Literal["float32", "bfloat16", "float16"]
MergedSeeds = Literal["best", "each"]


class Publish(Model):
    """How `adapterx publish` publishes the adapters of a run; nothing else acts on it."""

    namespace: Annotated[str, Field(pattern=rf"^{HUB_NAME}$")] | None = None
    """The user or organisation on the Hub; by default the one that is logged in."""
    prefix: Annotated[str, Field(pattern=rf"^{HUB_NAME}$")] | None = None
    """What the names of repositories begin with; by default the recipe's name."""
    cells: Strings | None = None
    """Which cells: how their names begin; all of them by default."""
    format: LibraryName | None = None
    """Whose files: `peft`, or `adapterhub` for AdapterHub's `adapters`; by default `peft` where it has the method."""
    merged_seeds: MergedSeeds = "best"
    """One repository for all seeds of a setting, with the seed of the best dev score; or one for each."""
    dtype: Dtype = "float32"
    """Number format of the stored weights."""
    private: bool = False
    """Whether repositories that are made are private."""
    pull_request: bool = False
    """Whether each change is offered as a pull request instead of committed."""
    base_models: dict[Name, Annotated[str, Field(pattern=BASE_MODEL)]] = Field(default_factory=dict)
    """By backbone, the same model on the Hub, as `ID` or `ID@REVISION`: for one that is a local directory."""
    licence: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    """The Hub's name of the adapters' licence, in place of what follows from base model and data."""
