"""README.md of an export: what it is, whether it is any good, and the lines that load it."""

from __future__ import annotations

from pathlib import Path

from adapterx.methods.base import Layout
from adapterx.publish.adapters import AdapterSet
from adapterx.publish.hub.bases import PublicBase
from adapterx.publish.hub.snippet import snippet
from adapterx.store import write_text

NAME = "README.md"


def write(new: Path, layout: Layout, adapters: AdapterSet, no_result: str | None) -> None:
    """Write it into an export's directory.

    Args:
        no_result: in what way the cell's answers are no result, None where they are one.
    """
    made = adapters.metadata
    lines = snippet(layout, adapters, "DIR", PublicBase(made.model, made.revision or "", ""))
    warning = (
        ""
        if no_result is None
        else f"**It is no result to rely on:** it {no_result or 'answers alike everywhere'}.\n\n"
    )
    labels = ", ".join(f"{place} = `{label}`" for place, label in enumerate(made.labels))
    embedded = (
        "\nThe embedded backbone is no model that libraries load by name: `adapterx publish --upload-base USER/NAME`"
        " makes it one.\n"
        if made.model.startswith("embedded/")
        else ""
    )
    write_text(
        new / NAME,
        f"# {made.cell}\n\n{warning}The cell `{made.cell}` of the run `{made.recipe}`, for the task `{made.task}`, in"
        f" `{made.model}`. With this directory's path in place of DIR:\n\n```python\n{lines.whole}\n```\n{embedded}\n"
        + (f"Labels, in the order of the outputs: {labels}.\n" if labels else "")
        + f"Texts were cut to {made.max_length} tokens. `adapterx predict DIR` answers with it too.\n",
    )
