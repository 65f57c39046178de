"""Build sentences from a lexicon: tagged phrases, clauses made of them, and their text with the place of every part.

A lexicon is a set of tables with one entry per line: ``id: field = field``. A word of a phrase is ``text/TAG``. A word
without a tag is looked up in the lexicon's closed classes; if it is not there, it is a noun. ``a|b`` is the masculine
and the feminine form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from adaptstilts.errors import DataError

Word = tuple[str, str]
Phrase = tuple[Word, ...]
Segments = list[tuple[str, Phrase]]

UPOS = tuple("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X".split())
_MASCULINE = frozenset("omar peter david ivan brother doctor boy".split())
_GLUED_LEFT = frozenset(".,?!;:؟،।。，？、")
_GLUED_RIGHT = ("¿", "'", "’")


@dataclass(frozen=True)
class Clause:
    """One statement of the small world, without a language: ids of its parts.

    Attributes:
        front: whether the time comes first, in languages that allow both orders.
    """

    person: str
    event: str
    place: str = ""
    time: str = ""
    negative: bool = False
    front: bool = False


@dataclass(frozen=True)
class Parts:
    """A clause in the phrases of one language; ``subject`` and ``event`` have the fields of the lexicon's lines."""

    subject: tuple[Phrase, ...]
    event: tuple[Phrase, ...]
    place: Phrase
    time: Phrase
    negative: bool = False
    front: bool = False
    feminine: bool = False


@dataclass(frozen=True)
class Lexicon:
    """The phrases of one language and how it orders them.

    Attributes:
        closed: ``TAG word word; TAG word``: the tags of words that are written without one.
        people: subjects.
        events: verb phrases; every language has its own fields.
        places: adverbial phrases.
        times: adverbial phrases.
        pairs: ``id: cause | effect``, two plain sentences.
        asks: the questions for the cause and for the effect of a sentence.
        clause: returns the segments (who, what, where, when, or another name) of a statement, in order.
        question: returns the words of a question; its first argument is who, what, where or when.
        but: conjunction between two statements.
        stop: full stop.
        blank: space between words.
    """

    code: str
    closed: str
    people: str
    events: str
    places: str
    times: str
    pairs: str
    asks: tuple[str, str]
    clause: Callable[[Parts], Segments]
    question: Callable[[str, Parts], Phrase]
    but: str
    stop: str = "."
    blank: str = " "


@dataclass(frozen=True)
class Sentence:
    """Words with tags, their text, and the [begin, end) characters of the parts that a question may ask for."""

    words: Phrase
    text: str
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@lru_cache(maxsize=256)
def table(text: str) -> dict[str, str]:
    """Return the lines ``id: rest`` of a table, in order."""
    lines = [line.partition(": ") for line in text.strip().splitlines()]
    entries = {name.strip(): rest.strip() for name, _, rest in lines}
    if len(entries) != len(lines):
        raise DataError("a table of the sample's lexicon has an id twice")
    return entries


@lru_cache(maxsize=4096)
def phrase(text: str, closed: str = "", feminine: bool = False) -> Phrase:
    """Read the words and tags of a phrase.

    Args:
        text: the phrase as a lexicon writes it.
        closed: the lexicon's closed classes.
        feminine: whether to take the feminine forms.
    """
    known = {}
    for group in closed.split(";"):
        tag, *words = group.split() or [""]
        known.update(dict.fromkeys(words, tag))
    tagged = []
    for written in text.split():
        word, _, tag = written.partition("/")
        forms = word.split("|")
        word = forms[-1] if feminine else forms[0]
        tag = tag or known.get(word) or ("PUNCT" if word in _GLUED_LEFT or word in _GLUED_RIGHT else "NOUN")
        if tag not in UPOS:
            raise DataError(f"{written}: {tag} is not a universal part-of-speech tag")
        tagged.append((word, tag))
    return tuple(tagged)


def parts(lexicon: Lexicon, clause: Clause, person: bool = True) -> Parts:
    """Return the phrases of a clause.

    Args:
        lexicon: the language.
        clause: the clause.
        person: False for masculine forms, which most languages use to ask who did something.
    """
    feminine = person and clause.person not in _MASCULINE

    def fields(text: str, key: str) -> tuple[Phrase, ...]:
        return tuple(phrase(part, lexicon.closed, feminine) for part in table(text)[key].split(" = "))

    return Parts(
        subject=fields(lexicon.people, clause.person),
        event=fields(lexicon.events, clause.event),
        place=fields(lexicon.places, clause.place)[0] if clause.place else (),
        time=fields(lexicon.times, clause.time)[0] if clause.time else (),
        negative=clause.negative,
        front=clause.front and bool(clause.time),
        feminine=feminine,
    )


def state(lexicon: Lexicon, *clauses: Clause) -> Sentence:
    """Write one or two clauses as one sentence; its spans are those of the first clause."""
    segments: Segments = []
    for i, clause in enumerate(clauses):
        added = lexicon.clause(parts(lexicon, clause))
        if i:
            segments.append(("", phrase(lexicon.but, lexicon.closed)))
            added = [("", words) for _, words in added]
        segments += added
    return _written(lexicon, [*segments, ("", ((lexicon.stop, "PUNCT"),))])


def ask(lexicon: Lexicon, what: str, clause: Clause) -> Sentence:
    """Write the question for one part of a clause: who, what, where or when."""
    words = lexicon.question(what, parts(lexicon, clause, person=what != "who"))
    return _written(lexicon, [("", words)])


def capital(word: str, code: str) -> str:
    """Return a word as it is written at the beginning of a sentence."""
    first = "İ" if code == "tr" and word[:1] == "i" else word[:1].upper()
    return first + word[1:]


def _written(lexicon: Lexicon, segments: Segments) -> Sentence:
    words: list[Word] = []
    text = ""
    spans: dict[str, tuple[int, int]] = {}
    started = False
    for role, part in segments:
        begin = -1
        for word, tag in part:
            if not started and word[0].isalpha():
                word, started = capital(word, lexicon.code), True
            glued = not text or word.strip() in _GLUED_LEFT or text.endswith(_GLUED_RIGHT)
            text += word if glued else lexicon.blank + word
            begin = len(text) - len(word) if begin < 0 else begin
            words.append((word, tag))
        if role and part:
            spans[role] = (spans[role][0] if role in spans else begin, len(text))
    return Sentence(tuple(words), text, spans)
