"""The catalog's entries whose files on the Hub are text, and all languages of those that have very many.

File names, columns and labels are those of the datasets' cards and loading scripts, and of the tasks of these names in
EleutherAI/lm-evaluation-harness.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from babel.core import get_global

from adapterx.report.languages import language as known_of
from adapterx.tasks import data
from adapterx.tasks.catalog import find
from adapterx.tasks.sources.hub import files as hub_files
from adapterx.tasks.sources.hub.files import Blob, Listing
from adapterx.tasks.sources.hub.spec import HubSource
from tests.support.hub import serve
from tests.tasks.hub_tasks import CONVERSION, ask, parquet

Rows = Sequence[Mapping[str, Any]]


def separated(rows: Rows, delimiter: str) -> bytes:
    """As pandas writes it: a cell that holds the delimiter, a mark or a line feed stands in quotation marks."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()


def lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def piqa(code: str, choices: int) -> Rows:
    """Rows of Global PIQA: of the parallel split with English beside them, of the other with what is known of them."""
    shown = [
        {f"solution{at}": f"{code} «{at}»" for at in range(choices)},
        {f"solution{at}": f"{at}" for at in range(choices)},
    ]
    english = {f"eng_solution{at}": "x" for at in range(choices)} if choices > 2 else {"eng_translated0": "x"}
    rest = {"eng_prompt": "x", "categories": "food"} if choices > 2 else {"approx_cultural_score": 1, "llm_used": "no"}
    return [
        {
            "prompt": f'{code} "quoted"\tprompt {at}',
            **one,
            "label": choices - 1 - at,
            "language": code,
            **english,
            **rest,
        }
        | {"example_id": f"item_{at}", "supplement": ""}
        for at, one in enumerate(shown)
    ]


def copa(text: str, **more: Any) -> Rows:
    """Rows of COPA's kind, one of each question."""
    return [
        {
            "premise": f"{text}, {at}.",
            "choice1": "A",
            "choice2": "B",
            "question": question,
            "idx": at,
            "label": at,
            **more,
        }
        for at, question in enumerate(("cause", "effect"))
    ]


SIB = ["science/technology", "travel", "politics", "sports", "health", "entertainment", "geography"]
FILES: dict[str, dict[str, bytes]] = {
    "mrlbenchmarks/global-piqa-nonparallel": {
        f"data/nonparallel_{code}.tsv": separated(piqa(code, 2), "\t") for code in ("eng_latn", "srp_cyrl_torl")
    },
    "mrlbenchmarks/global-piqa-parallel": {
        f"data/parallel_{code}.tsv": separated(piqa(code, 4), "\t") for code in ("eng_latn", "fra_latn_cana")
    },
    "ai4bharat/IndicCOPA": {
        "IndicCOPA.py": b"raise SystemExit",
        **{f"data/test.{code}.jsonl": lines(copa(code, changed=False)) for code in ("en", "gom")},
    },
    "haryoaw/COPAL": {
        f"test_copal{kind}.csv": separated(copa(f"Standar{kind}", Terminology=0, Culture=1, Language=0), ",")
        for kind in ("", "_colloquial")
    },
    "Davlan/sib200": {
        "sib200.py": b"raise SystemExit",
        **{
            f"data/{code}/{split}.tsv": separated(
                [{"index_id": at, "category": topic, "text": f'{code} "{split}"'} for at, topic in enumerate(SIB)], "\t"
            )
            for code in ("eng_Latn", "nqo_Nkoo")
            for split in ("train", "dev", "test")
        },
    },
}
NATIVE = {
    f"eu_{kind}/test/0000.parquet": parquet([{"premise": kind, "hypothesis": "B", "label": 1}])
    for kind in ("mt", "native")
}
WHAT = "What was the cause of this?", "What happened as a result?"
ASKED: dict[tuple[str, str, str, str], list[tuple[Any, ...]]] = {
    ("global-piqa", "hub", "en", "test"): [
        ('eng_latn "quoted"\tprompt 0', ["eng_latn «0»", "eng_latn «1»"], "second"),
        ('eng_latn "quoted"\tprompt 1', ["0", "1"], "first"),
    ],
    ("global-piqa", "hub", "sr-Cyrl-torl", "test"): [
        ('srp_cyrl_torl "quoted"\tprompt 0', ["srp_cyrl_torl «0»", "srp_cyrl_torl «1»"], "second"),
        ('srp_cyrl_torl "quoted"\tprompt 1', ["0", "1"], "first"),
    ],
    ("global-piqa-parallel", "hub", "fr-CA", "test"): [
        ('fra_latn_cana "quoted"\tprompt 0', [f"fra_latn_cana «{at}»" for at in range(4)], "fourth"),
        ('fra_latn_cana "quoted"\tprompt 1', ["0", "1", "2", "3"], "third"),
    ],
    ("indiccopa", "hub", "gom", "test"): [
        (f"gom, 0. {WHAT[0]}", ["A", "B"], "first"),
        (f"gom, 1. {WHAT[1]}", ["A", "B"], "second"),
    ],
    ("copal-id", "hub", "id", "test"): [
        (f"Standar, 0. {WHAT[0]}", ["A", "B"], "first"),
        (f"Standar, 1. {WHAT[1]}", ["A", "B"], "second"),
    ],
    ("copal-id", "colloquial", "id", "test"): [
        (f"Standar_colloquial, 0. {WHAT[0]}", ["A", "B"], "first"),
        (f"Standar_colloquial, 1. {WHAT[1]}", ["A", "B"], "second"),
    ],
    **{
        ("sib-200", "hub", "nqo", split): [(f'nqo_Nkoo "{split}"', topic) for topic in SIB]
        for split in ("train", "dev", "test")
    },
    ("sib-200", "hub", "en", "test"): [('eng_Latn "test"', topic) for topic in SIB],
    ("xnli-eu", "native", "eu", "test"): [("native", "B", "neutral")],
    ("xnli-eu", "mt", "eu", "test"): [("mt", "B", "neutral")],
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, str, str, str], tuple[Any, Any]]]:
    """The examples and the size of each split that is asked for."""
    with serve(tmp_path_factory.mktemp("catalog") / "hub") as hub:
        for dataset, files in FILES.items():
            hub.commit(f"datasets/{dataset}", files)
        hub.commit("datasets/HiTZ/xnli-eu", NATIVE, CONVERSION)
        specs = [find(name).model_dump(mode="json", exclude_defaults=True) for name, *_ in ASKED]
        found = ask(
            hub, *([spec, call, *of] for spec, (_, *of) in zip(specs, ASKED, strict=True) for call in ("load", "sizes"))
        )
    yield dict(zip(ASKED, zip(found[::2], found[1::2], strict=True), strict=True))


@pytest.mark.parametrize("asked", ASKED, ids=" ".join)
def test_an_entry_maps_its_documented_schema(
    asked: tuple[str, str, str, str], answers: Mapping[tuple[str, str, str, str], tuple[Any, Any]]
) -> None:
    spec, (found, size) = find(asked[0]), answers[asked]
    assert isinstance(found, list), found
    keys = ("context", "choices") if spec.format == "multiple-choice" else ("text", "text_pair")
    read = [(*(one[key] for key in keys if one.get(key) is not None), spec.labels[one["label"]]) for one in found]
    assert read == ASKED[asked] and size == len(read)
    if spec.parallel:
        ids = {
            "global-piqa-parallel": ["item_0", "item_1"],
            "indiccopa": ["0", "1"],
            "sib-200": [str(n) for n in range(7)],
        }
        assert [one["id"] for one in found] == ids[spec.name]


MANY = {
    "belebele": (122, "{config}/test/0000.parquet", r"[a-z]{3}_[A-Z][a-z]{3}"),
    "sib-200": (205, "data/{config}/test.tsv", r"[a-z]{3}_[A-Z][a-z]{3}"),
    "global-piqa": (136, "data/nonparallel_{config}.tsv", r"[a-z]{3}_[a-z]{4}(_[a-z]{4})?"),
    "global-piqa-parallel": (131, "data/parallel_{config}.tsv", r"[a-z]{3}_[a-z]{4}(_[a-z]{4})?"),
    "indiccopa": (19, "data/test.{config}.jsonl", r"[a-z]{2,3}"),
    "afrixnli": (18, "{config}/test/0000.parquet", r"[a-z]{3}"),
    "indicxnli": (11, "{config}/test/0000.parquet", r"[a-z]{2}"),
    "americas-nli": (10, "{config}/test/0000.parquet", r"[a-z]{2,3}"),
    "x-csqa": (16, "X-CSQA-{config}/validation/0000.parquet", r"[a-z]{2}|jap"),
    "x-codah": (16, "X-CODAH-{config}/validation/0000.parquet", r"[a-z]{2}|jap"),
}
"""By task how many languages there are, where the test items of one lie, and what the dataset calls them."""
WITHIN = {
    "sq": "als", "ar": "arb", "az": "azj", "ay": "ayr aym", "bal": "bcc", "din": "dik", "et": "ekk est",
    "ff": "fuv", "gn": "grn", "om": "gaz orm", "ku": "kmr", "kr": "knc", "mn": "khk", "lv": "lvs", "ne": "npi",
    "or": "ory", "ps": "pbt", "fa": "pes", "mg": "plt", "qu": "quy", "sw": "swh swa", "tl": "tgl", "uz": "uzn",
    "yi": "ydd", "ms": "zsm", "zh": "zho cmn", "nb": "nob", "bua": "bxr", "sa": "san cls", "ja": "jap",
    "ak": "aka", "tw": "twi",
}  # fmt: skip
"""Codes of single languages, of those that the task's own code stands for."""


@pytest.mark.parametrize("name", MANY)
def test_every_language_has_files_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    count, pattern, shape = MANY[name]
    spec = find(name)
    source = spec.sources["hub"]
    assert isinstance(source, HubSource)
    configs = [source.code(code) for code in spec.languages]
    assert len(spec.languages) == count == len({*configs}) and all(re.fullmatch(shape, config) for config in configs)
    files = {pattern.format(config=config): Blob(config, 1) for config in configs}
    monkeypatch.setattr(hub_files, "listing", lambda dataset, revision: Listing(dataset, "c", files))
    for code, config in zip(spec.languages, configs, strict=True):
        found = source.digest(spec, {"test": [code]})["splits"]
        assert found["test"][code]["blobs"] == [config]  # type: ignore[call-overload, index]


@pytest.mark.parametrize("name", MANY)
def test_codes_of_languages_mean_what_the_dataset_calls_so(name: str) -> None:
    """By CLDR's aliases, and by its likely scripts where a code names none."""
    source = find(name).sources["hub"]
    assert isinstance(source, HubSource)
    aliases = get_global("language_aliases")
    for code in find(name).languages:
        base, (theirs, *script) = code.split("-")[0], source.code(code).split("_")
        assert base in (theirs, aliases.get(theirs)) or theirs in WITHIN.get(base, "").split(), code
        likely = str(get_global("likely_subtags").get(base, "")).split("_")
        if script and len(likely) > 1:
            written = next((one for one in code.split("-")[1:] if len(one) == 4 and one[0].isupper()), likely[1])
            assert {"Kore": "Hang"}.get(written, written) == script[0].title(), code
        assert known_of(code).script


FIRST = """
    en=eng_Latn ar=arb_Arab bg=bul_Cyrl bn=ben_Beng de=deu_Latn el=ell_Grek es=spa_Latn et=est_Latn fi=fin_Latn
    fr=fra_Latn he=heb_Hebr hi=hin_Deva hu=hun_Latn id=ind_Latn it=ita_Latn ja=jpn_Jpan ka=kat_Geor ko=kor_Hang
    pl=pol_Latn pt=por_Latn ru=rus_Cyrl sw=swh_Latn ta=tam_Taml te=tel_Telu th=tha_Thai tr=tur_Latn uk=ukr_Cyrl
    ur=urd_Arab vi=vie_Latn zh=zho_Hans
"""
"""The languages that belebele had at first, and their configurations: what is stored of them must be found again."""
THIRTY = dict(re.findall(r"(\w+)=(\w+)", FIRST))


def test_belebele_has_the_same_identity_in_its_first_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = find("belebele")
    first = spec.sources["hub"].model_copy(update={"codes": THIRTY})
    before = spec.model_copy(update={"languages": tuple(THIRTY), "sources": {"hub": first}})
    files = {f"{config}/test/0000.parquet": Blob(config, 1) for config in THIRTY.values()}
    monkeypatch.setattr(hub_files, "listing", lambda dataset, revision: Listing(dataset, "c", files))
    for languages in (["sw"], list(THIRTY)):
        assert data.fingerprint(spec, "hub", {"test": languages}) == data.fingerprint(
            before, "hub", {"test": languages}
        )
