"""What translation models call languages, from the codes of tasks (ISO 639-1)."""

from __future__ import annotations

from collections.abc import Mapping

_NLLB = """
af afr_Latn  am amh_Ethi  ar arb_Arab  az azj_Latn  be bel_Cyrl  bg bul_Cyrl  bn ben_Beng  bs bos_Latn  ca cat_Latn
cs ces_Latn  cy cym_Latn  da dan_Latn  de deu_Latn  el ell_Grek  en eng_Latn  es spa_Latn  et est_Latn  eu eus_Latn
fa pes_Arab  fi fin_Latn  fr fra_Latn  ga gle_Latn  gl glg_Latn  gu guj_Gujr  ha hau_Latn  he heb_Hebr  hi hin_Deva
hr hrv_Latn  ht hat_Latn  hu hun_Latn  hy hye_Armn  id ind_Latn  ig ibo_Latn  is isl_Latn  it ita_Latn  ja jpn_Jpan
jv jav_Latn  ka kat_Geor  kk kaz_Cyrl  km khm_Khmr  kn kan_Knda  ko kor_Hang  ky kir_Cyrl  lo lao_Laoo  lt lit_Latn
lv lvs_Latn  mk mkd_Cyrl  ml mal_Mlym  mn khk_Cyrl  mr mar_Deva  ms zsm_Latn  mt mlt_Latn  my mya_Mymr  nb nob_Latn
ne npi_Deva  nl nld_Latn  nn nno_Latn  no nob_Latn  pa pan_Guru  pl pol_Latn  ps pbt_Arab  pt por_Latn  qu quy_Latn
ro ron_Latn  ru rus_Cyrl  rw kin_Latn  si sin_Sinh  sk slk_Latn  sl slv_Latn  so som_Latn  sq als_Latn  sr srp_Cyrl
sv swe_Latn  sw swh_Latn  ta tam_Taml  te tel_Telu  th tha_Thai  tl tgl_Latn  tr tur_Latn  uk ukr_Cyrl  ur urd_Arab
uz uzn_Latn  vi vie_Latn  xh xho_Latn  yo yor_Latn  zh zho_Hans  zh-Hant zho_Hant  zu zul_Latn
"""
_CELLS = _NLLB.split()
NLLB: Mapping[str, str] = dict(zip(_CELLS[::2], _CELLS[1::2], strict=True))
"""NLLB's (FLORES-200's) codes of the languages of XTREME and of the catalog, and of some more."""
UNSPACED = frozenset({"ja", "zh", "zh-Hant", "th", "lo", "km", "my"})
"""Languages that put no space between sentences, or none that means one."""


def spellings(language: str, given: str | None) -> list[str]:
    """The tokens by which a multilingual model may be told a language, the likeliest first.

    Args:
        given: what `--codes` says of it.
    """
    if given is not None:
        return [given, f"__{given}__", f">>{given}<<"]
    nllb = NLLB.get(language)
    found = [*([nllb] if nllb else []), f"__{language}__", f">>{language}<<"]
    # OPUS-MT has codes of three letters, with a script where a language has several.
    return found + ([f">>{nllb.partition('_')[0]}<<", f">>{nllb}<<"] if nllb else [])


def same(one: str, other: str) -> bool:
    """Whether two codes may mean one language: `de`, `deu` and `deu_Latn`."""
    short = {code.partition("_")[0]: language for language, code in NLLB.items()}
    return short.get(one.partition("_")[0], one) == short.get(other.partition("_")[0], other)
