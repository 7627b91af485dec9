"""How an adapter came about, in a card's Markdown."""

from __future__ import annotations

from adapterx.publish.hub.publication import Publication

DASH = "–"


def method_line(publication: Publication) -> str:
    """What was trained, and with what transfer."""
    adapters = publication.adapters
    fusion = adapters.fusion
    if fusion is not None:
        return f"AdapterFusion over {len(fusion.members)} adapters: {', '.join(fusion.names)}."
    stack = adapters.stack if publication.members is None else publication.members.stack
    told = [f"`{one.method.kind}` ({one.method.size_in_words})".replace(" ()", "") for one in stack]
    if publication.merged:
        return f"{told[-1]}, started from adapters merged by arithmetic and trained on its target."
    if len(told) > 1:
        return f"{' under '.join(told)}: the lower adapter was trained first and then frozen."
    return f"{told[0]}."


def data_table(publication: Publication) -> str:
    """Tasks in the order of their use."""
    if not publication.uses:
        return ""
    rows = [
        f"| {one.use} | `{one.task}` | {', '.join(one.languages)} | {one.licence or 'not known'} |"
        f" `{one.fingerprint[:16]}` |"
        for one in publication.uses
    ]
    head = "| use | task | languages | licence of the data | fingerprint |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def cost_table(publication: Publication) -> str:
    """Measured time and memory of each training."""
    if not publication.trainings:
        return ""
    rows = []
    for one in publication.trainings:
        numbers = (one.steps, one.examples, one.parameters)
        counts = [DASH if number is None else f"{number:,}" for number in numbers]
        seconds = DASH if one.seconds is None else f"{one.seconds:,.1f}"
        memory = DASH if one.peak_memory_bytes is None else f"{one.peak_memory_bytes / 1e9:.2f}"
        rows.append(f"| {one.stage} | {' | '.join(counts)} | {seconds} | {memory} |")
    titles = ("training", "steps", "examples", "trained parameters", "seconds", "peak memory, GB")
    head = f"| {' | '.join(titles)} |\n|---|{'---:|' * 5}"
    first = publication.trainings[-1]
    note = (
        f"Measured on {first.hardware or 'a machine that its record does not name'}, with {first.software}."
        " Trainings in one pass share its time; memory is that of the process."
    )
    return "\n".join([head, *rows, "", note])
