"""The table of languages: ISO 639-1 codes as XTREME uses them, and the other names that data sets use."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstilts.errors import ConfigError
from adaptstilts.registry import nearest


@dataclass(frozen=True)
class Language:
    """One language.

    Attributes:
        code: the ISO 639-1 code if there is one (as in XTREME), else the ISO 639-3 code.
        iso3: the ISO 639-3 code in the config names of Tatoeba (an individual language: ``cmn``, ``swh``, ``pes``).
        name: the English name, as in the config names of ``udpos``.
    """

    code: str
    iso3: str
    name: str


_ROWS = """
af afr Afrikaans;am amh Amharic;ang ang Old English;ar ara Arabic;arq arq Algerian Arabic;arz arz Egyptian Arabic
ast ast Asturian;awa awa Awadhi;az aze Azerbaijani;be bel Belarusian;ber ber Berber;bg bul Bulgarian;bn ben Bengali
br bre Breton;bs bos Bosnian;ca cat Catalan;cbk cbk Chavacano;ceb ceb Cebuano;ch cha Chamorro;cs ces Czech
csb csb Kashubian;cy cym Welsh;da dan Danish;de deu German;dsb dsb Lower Sorbian;dtp dtp Kadazan Dusun;el ell Greek
en eng English;eo epo Esperanto;es spa Spanish;et est Estonian;eu eus Basque;fa pes Persian;fi fin Finnish
fo fao Faroese;fr fra French;fy fry Western Frisian;ga gle Irish;gd gla Scottish Gaelic;gl glg Galician
gsw gsw Swiss German;gu guj Gujarati;ha hau Hausa;he heb Hebrew;hi hin Hindi;hr hrv Croatian;hsb hsb Upper Sorbian
ht hat Haitian;hu hun Hungarian;hy hye Armenian;ia ina Interlingua;id ind Indonesian;ie ile Interlingue;io ido Ido
is isl Icelandic;it ita Italian;ja jpn Japanese;jv jav Javanese;ka kat Georgian;kab kab Kabyle;kk kaz Kazakh
km khm Khmer;kn kan Kannada;ko kor Korean;ku kur Kurdish;kw cor Cornish;kzj kzj Coastal Kadazan;la lat Latin
lfn lfn Lingua Franca Nova;lo lao Lao;lt lit Lithuanian;lv lvs Latvian;max max North Moluccan Malay
mhr mhr Meadow Mari;mk mkd Macedonian;ml mal Malayalam;mn mon Mongolian;mr mar Marathi;ms zsm Malay;my mya Burmese
nb nob Bokmal;nds nds Low German;ne npi Nepali;nl nld Dutch;nn nno Nynorsk;nov nov Novial;oc oci Occitan
orv orv Old East Slavic;pa pan Punjabi;pam pam Pampanga;pl pol Polish;pms pms Piedmontese;ps pus Pashto
pt por Portuguese;qu que Quechua;ro ron Romanian;ru rus Russian;sk slk Slovak;sl slv Slovenian;so som Somali
sq sqi Albanian;sr srp Serbian;sv swe Swedish;sw swh Swahili;swg swg Swabian;ta tam Tamil;te tel Telugu;th tha Thai
tk tuk Turkmen;tl tgl Tagalog;tr tur Turkish;tt tat Tatar;tzl tzl Talossan;ug uig Uyghur;uk ukr Ukrainian;ur urd Urdu
uz uzb Uzbek;vi vie Vietnamese;war war Waray;wo wol Wolof;wuu wuu Wu Chinese;xh xho Xhosa;yi yid Yiddish;yo yor Yoruba
yue yue Cantonese;zh cmn Chinese;zu zul Zulu
as asm Assamese;bbj bbj Ghomala;bho bho Bhojpuri;bm bam Bambara;brx brx Bodo;ee ewe Ewe;gbm gbm Garhwali
gom gom Goan Konkani;hne hne Chhattisgarhi;ig ibo Igbo;lg lug Luganda;luo luo Luo;mai mai Maithili;mni mni Manipuri
mos mos Mossi;mwr mwr Marwari;ny nya Chichewa;or ory Odia;pcm pcm Nigerian Pidgin;rw kin Kinyarwanda
sa san Sanskrit;sn sna Shona;tn tsn Setswana;tw twi Twi
"""

_ENTRIES = [Language(*row.split(maxsplit=2)) for row in _ROWS.strip().replace("\n", ";").split(";")]
LANGUAGES = {language.code: language for language in _ENTRIES}

_ALIASES = {
    "iw": "he", "in": "id", "ji": "yi", "jw": "jv", "fil": "tl", "zho": "zh", "zh-cn": "zh", "zh-hans": "zh",
    "fas": "fa", "swa": "sw", "msa": "ms", "nep": "ne", "arb": "ar", "pt-br": "pt", "lav": "lv", "ekk": "et",
}  # fmt: skip


def resolve(code: str) -> Language:
    """Return the language with a code, an ISO 639-3 code, an English name or a known alias.

    Raises:
        ConfigError: there is none; the message suggests similar names.
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
    similar = nearest(code, [*LANGUAGES, *(language.name for language in LANGUAGES.values())])
    hint = f"did you mean {' or '.join(similar)}?" if similar else "codes are ISO 639-1, as in XTREME"
    raise ConfigError(f"unknown language {code!r}; {hint}")
