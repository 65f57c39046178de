"""Sentence ends in English: what breaks, what does not, and that nothing but white space is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptstilts.tasks._sentences import index_at, sentences


def broken(text: str) -> list[str]:
    return [text[begin:end] for begin, end in sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["It rains.", "The sun shines."],
        ["Who was it?", "Nobody knew!", "It stayed so..."],
        ["It was 1948.", "12 people came."],
        ['He said "No."', "She left."],
        ["He left (at noon).", "'Where to?' she asked."],
        ["It is known.[4]", "Others doubt it.[12][a]", "The end"],
        ["It grew by 3.5 per cent.", "In 1990 it fell."],
        ["They moved to the U.S.", "The family stayed."],
        ["He was called Martin Luther King Jr.", "His father was too."],
        ["Room C.", "It is small."],
        ["One...", "Two."],
        ["She answered no.", "He went."],
        ["Émile came.", "Élodie did not."],
        ["No end here"],
        ["A line.", "\u201cQuoted\u201d text."],
    ],
)
def test_ends(parts: list[str]) -> None:
    assert broken(" ".join(parts)) == parts
    assert broken("  " + "  \n".join(parts) + "\n") == parts


@pytest.mark.parametrize(
    "text",
    [
        "Mr. Smith met Dr. Brown in St. Louis.",
        "George W. Bush and J. R. R. Tolkien read it.",
        "The U.S. Army and the U.N. Security Council met.",
        "See No. 5, vol. 3 and pp. 7 of it.",
        "It was ca. 300 metres, i.e. Less than before.",
        "It costs 3.50 or 1,000.25 dollars.",
        "It was called Yahoo! by many, and Who? by some.",
        "An example, e.g. this one, is given etc. and so on.",
        "He works for Acme Inc. Research in Paris.",
        "Visit example.org or end. without a capital.",
        "At 5 p.m. Eastern time it began.",
        "In Brown v. Board it was decided.",
    ],
)
def test_no_end(text: str) -> None:
    assert broken(text) == [text]


def test_nothing() -> None:
    assert sentences("") == sentences(" \n ") == []


@given(st.text(alphabet="aB .!?\"')[1]\n\u00e9", max_size=60))
def test_only_white_space_is_lost(text: str) -> None:
    spans = sentences(text)
    assert "".join("".join(broken(text)).split()) == "".join(text.split())
    assert all(begin < end for begin, end in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert all(text[begin:end] == text[begin:end].strip() for begin, end in spans)
    for place in range(len(text)):
        at = index_at(spans, place)
        assert (at is None) == (not any(begin <= place < end for begin, end in spans))
        assert at is None or spans[at][0] <= place < spans[at][1]


def test_answers_of_squad_are_within_sentences(shared: Path) -> None:
    import pyarrow.parquet as pq

    files = sorted((shared / "hub/rajpurkar/squad/plain_text").glob("validation-*.parquet"))
    rows = pq.read_table(files[0]).to_pylist()
    crossing = 0
    for row in rows:
        spans, start = sentences(row["context"]), row["answers"]["answer_start"][0]
        at = index_at(spans, start)
        assert at is not None
        crossing += start + len(row["answers"]["text"][0]) > spans[at][1]
    assert 3 < sum(len(sentences(row["context"])) for row in rows) / len(rows) < 7
    assert crossing < 0.003 * len(rows)
