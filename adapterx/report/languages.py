"""What a report knows of a language: its name, family and script, and in which direction it is written.

Names, scripts and directions are CLDR's. Families are the highest nodes that genealogies of Glottolog and of XTREME's
Table 6 (Hu et al. 2020) agree on; a language that is not listed here has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

UNKNOWN = "other"
_FAMILIES = {
    "Afro-Asiatic": "acm acq aeb afb ajp am apc ar arq ars ary arz ha he kab mt om so taq ti tzm",
    "Arawakan": "cni",
    "Atlantic-Congo": "ak bem cjk ee ekp ewe ff fon idu ig iso kam kbp kg ki kin kmb lg ln lua mos nso ny rn rw sn sna "
    "ss st sw tn ts tsn tum tw twi umb urh ve wo wol xh xho yo yor zu zul bbj",
    "Austroasiatic": "km sat vi",
    "Austronesian": "ace ban bjn btx bug ceb id ilo jv mg mi min ms pag sm su tl war fj haw",
    "Basque": "eu",
    "Dravidian": "kn ml ta te",
    "Indo-European": "af als an as ast awa bal be bg bgc bho bn br bra bs ca ckb ckm co cs cy da de dhd el en es fa "
    "fo fr fur fy ga gd gl gu hi hne hr hsb hy is it ku kmr ks la lb li lij lmo lt ltg lv mag mai "
    "mk mr nb ne nl nn no oc or pa pl pt ro ru sa sc scn sd si sk sl sq sr sv szl tg uk ur vec yi "
    "ps gsw rm gom prs rwr swv",
    "Japonic": "ja",
    "Kartvelian": "ka",
    "Koreanic": "ko",
    "Mande": "bam bm dyu nqo",
    "Mongolic": "bua mn xal",
    "Nilotic": "luo din nus",
    "Otomanguean": "oto",
    "Panoan": "shp",
    "Quechuan": "qu quy quz",
    "Aymaran": "ay aym",
    "Sino-Tibetan": "bo dz kac lus mni my yue zh",
    "Tai-Kadai": "lo shn th",
    "Tupian": "gn",
    "Turkic": "az azb ba crh cv kk ky sah tk tr tt ug uz",
    "Uralic": "et fi hu kv myv mdf se udm",
    "Uto-Aztecan": "nah tar hch",
    "Chibchan": "bzd",
    "Constructed": "eo ia",
}
_FAMILY = {code: family for family, codes in _FAMILIES.items() for code in codes.split()}


@dataclass(frozen=True)
class Language:
    """One language of a run."""

    code: str
    name: str
    """In English; the code where CLDR has none."""
    family: str
    script: str
    right_to_left: bool


@cache
def language(code: str) -> Language:
    """What is known of a code, such as `sw` or `zh-Hant`."""
    from babel import Locale

    tag = code.replace("-", "_")
    name = str(Locale("en").languages.get(tag, code))
    family = _FAMILY.get(tag) or _FAMILY.get(tag.partition("_")[0], UNKNOWN)
    script = _script(tag)
    return Language(code, name, family, _script_name(script), script in _RIGHT_TO_LEFT)


_RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Hebr", "Mand", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})


def _script(tag: str) -> str:
    """The four letters of the script that a language is most likely written in; empty where nobody knows."""
    from babel.core import get_global

    parts = tag.split("_")
    named = next((part for part in parts[1:] if len(part) == 4 and part.isalpha()), "")
    likely = str(get_global("likely_subtags").get(parts[0], "")).split("_")
    return named or next((part for part in likely[1:] if len(part) == 4), "")


def _script_name(script: str) -> str:
    from babel import Locale

    if script in ("Hans", "Hant"):
        return "Han"
    return str(Locale("en").scripts.get(script, script)) or UNKNOWN
