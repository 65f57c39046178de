"""The one table of languages: ISO 639-1 codes as XTREME uses them, with the names that data sets use instead."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from adaptstilts.errors import ConfigError


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        code: ISO 639-1 where one exists (as in XTREME), else ISO 639-3.
        iso3: the ISO 639-3 code of the Tatoeba configs (an individual language: ``cmn``, ``swh``, ``pes``).
        name: the English name, which is also the name of the ``udpos`` configs.
    """

    code: str
    iso3: str
    name: str


_ROWS = """
af afr Afrikaans;am amh Amharic;ar ara Arabic;az aze Azerbaijani;be bel Belarusian;bg bul Bulgarian;bn ben Bengali
ca cat Catalan;cs ces Czech;cy cym Welsh;da dan Danish;de deu German;el ell Greek;en eng English;eo epo Esperanto
es spa Spanish;et est Estonian;eu eus Basque;fa pes Persian;fi fin Finnish;fr fra French;ga gle Irish;gl glg Galician
gu guj Gujarati;ha hau Hausa;he heb Hebrew;hi hin Hindi;hr hrv Croatian;ht hat Haitian;hu hun Hungarian
hy hye Armenian;id ind Indonesian;is isl Icelandic;it ita Italian;ja jpn Japanese;jv jav Javanese;ka kat Georgian
kk kaz Kazakh;km khm Khmer;kn kan Kannada;ko kor Korean;lo lao Lao;lt lit Lithuanian;lv lav Latvian;mk mkd Macedonian
ml mal Malayalam;mn mon Mongolian;mr mar Marathi;ms zsm Malay;my mya Burmese;nb nob Bokmal;ne npi Nepali
nl nld Dutch;nn nno Nynorsk;pa pan Punjabi;pl pol Polish;ps pus Pashto;pt por Portuguese;qu que Quechua
ro ron Romanian;ru rus Russian;sk slk Slovak;sl slv Slovenian;so som Somali;sq sqi Albanian;sr srp Serbian
sv swe Swedish;sw swh Swahili;ta tam Tamil;te tel Telugu;th tha Thai;tl tgl Tagalog;tr tur Turkish;tt tat Tatar
ug uig Uyghur;uk ukr Ukrainian;ur urd Urdu;uz uzb Uzbek;vi vie Vietnamese;wo wol Wolof;xh xho Xhosa;yi yid Yiddish
yo yor Yoruba;zh cmn Chinese;zu zul Zulu
"""

LANGUAGES: dict[str, Language] = {
    row.split()[0]: Language(*row.split()) for line in _ROWS.strip().splitlines() for row in line.split(";")
}

_ALIASES = {
    "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "fil": "tl", "zho": "zh", "zh-cn": "zh", "zh-hans": "zh",
    "fas": "fa", "swa": "sw", "msa": "ms", "nep": "ne", "arb": "ar", "pt-br": "pt", "lvs": "lv", "ekk": "et",
}  # fmt: skip


def resolve(code: str) -> Language:
    """The language of a code, ISO 639-3 code, English name or known alias.

    Raises:
        ConfigError: nothing matches; the message suggests the nearest codes.
    """
    if code in LANGUAGES:
        return LANGUAGES[code]
    folded = code.strip().lower()
    if folded in {"no", "nor"}:
        raise ConfigError(f"language {code!r} is ambiguous: use nb (Bokmal) or nn (Nynorsk)")
    for language in LANGUAGES.values():
        if folded in (language.code, language.iso3, language.name.lower()):
            return language
    if folded in _ALIASES:
        return LANGUAGES[_ALIASES[folded]]
    known = [*LANGUAGES, *(language.name for language in LANGUAGES.values())]
    near = difflib.get_close_matches(code, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; codes are ISO 639-1, as in XTREME"
    raise ConfigError(f"unknown language {code!r}{hint}")
