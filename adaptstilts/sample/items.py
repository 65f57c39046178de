"""Draw the items of the sample suite, independent of language: who did what, where and when, and the question about it.

Every function draws from a generator that its caller seeds, and records what it has drawn in ``seen``, which the splits
of a task share. So no item occurs twice, neither in one split nor in two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import TypeVar

from adaptstilts.sample.grammar import Clause

LABELS = ("entailment", "neutral", "contradiction")
PEOPLE = tuple("anna omar maria peter leila david sara ivan teacher brother sister doctor neighbour boy".split())
TIMES = tuple("yesterday last_week monday saturday two_days_ago evening morning summer".split())
PLACES = tuple("market park school home kitchen station library garden cafe office river hospital".split())
_ANYWHERE = " ".join(PLACES)
# The places of each event: nobody plants flowers in the library.
EVENTS = {
    name: tuple(places.split())
    for name, places in {
        "buy_book": "market station",
        "eat_apple": "market park school home kitchen station garden office river hospital",
        "drink_tea": "school home kitchen station garden cafe office hospital",
        "write_letter": "park school home kitchen station library garden cafe office hospital",
        "read_newspaper": "park home kitchen station library garden cafe office hospital",
        "wash_dishes": "school home kitchen cafe river",
        "cook_soup": "school home kitchen cafe",
        "play_football": "park school garden river",
        "play_guitar": "market park school home station garden cafe river",
        "sing_song": "market park school home kitchen station garden cafe river hospital",
        "lose_keys": _ANYWHERE,
        "find_wallet": "market park school station library cafe river",
        "sell_bicycle": "market park station",
        "repair_chair": "school home kitchen library garden cafe office",
        "open_window": "school home kitchen library cafe office hospital",
        "close_door": "school home kitchen library cafe office hospital",
        "call_friend": "park home station garden cafe office hospital",
        "meet_friends": "market park school station library cafe river",
        "buy_bread": "market station",
        "take_photos": "market park school station garden river",
        "draw_tree": "park school home library garden river",
        "plant_flowers": "park school garden river",
        "catch_fish": "river",
        "sleep": "park home station library garden hospital",
        "learn_poem": "park school home library garden",
        "tell_story": "park school home kitchen library garden cafe office hospital",
        "help_man": "market park station library cafe hospital",
        "break_cup": "school home kitchen garden cafe office hospital",
        "clean_floor": "school home kitchen station library cafe office hospital",
        "feed_cat": "park home kitchen garden river",
        "count_money": "market home kitchen station cafe office",
        "watch_film": "school home library cafe hospital",
        "hear_music": "park home kitchen station garden cafe office river",
        "forget_umbrella": "market park school station library cafe office hospital",
        "carry_boxes": "market school home station library office",
        "paint_wall": "school home kitchen garden cafe office",
        "cut_lemon": "home kitchen cafe",
        "drink_water": _ANYWHERE,
        "ask_question": "school library office hospital",
        "pay_bill": "market cafe office hospital",
    }.items()
}
# Two causal pairs are close if the cause of one could explain the effect of the other.
_CLOSE = (
    "rain-snow rain-drought rain-pipe cold-wind bus-bridge bus-alarm bus-fuel bus-snow bus-fog noise-coffee "
    "noise-alarm coffee-alarm alarm-tired alarm-power tired-noise drought-plants power-dark power-internet "
    "power-battery internet-battery power-computer computer-internet pocket-wallet ice-snow snow-bridge "
    "fog-bridge fog-snow ice-bridge wind-fog snow-cold wind-ball wind-balloon wind-candle cold-candle dog-cage "
    "dog-mouse mouse-cage cows-dog cows-bridge power-flour singer-power singer-fog singer-snow fuel-bridge "
    "prices-rent lottery-rent fire-power fire-candle lie-joke film-lie film-singer key-thief thief-wallet "
    "ticket-wallet ticket-pocket sun-ice_cream knife-bee knife-onions runner-goal runner-exam japan-exam "
    "salt-oven milk-salt milk-ice_cream sun-milk lost-ticket bench-pipe fuel-power battery-computer noise-thief "
    "dark-candle glasses-dark cage-wind balloon-cage fire-dog baby-bee baby-milk rain-fog cows-mouse ice-bee "
    "ball-ice drought-flour snow-drought address-internet tooth-knife candle-power ducks-salt sun-drought "
    "plants-sun"
)
CLOSE = frozenset(frozenset(pair.split("-")) for pair in _CLOSE.split())

Seen = set[Hashable]
Item = TypeVar("Item", bound=Hashable)


@dataclass(frozen=True)
class NliItem:
    """A premise of one or two clauses, and a hypothesis."""

    premise: tuple[Clause, ...]
    hypothesis: Clause
    label: str


@dataclass(frozen=True)
class QaItem:
    """A context of several clauses, the number of the one asked about, and what is asked (who, what, where, when)."""

    context: tuple[Clause, ...]
    at: int
    what: str


@dataclass(frozen=True)
class ChoiceItem:
    """A question about the cause or effect (``asks``) in the pair ``of``; the wrong answer is from ``other``."""

    of: str
    other: str
    asks: str
    label: int


def draw(count: int, seen: Seen, one: Callable[[int], tuple[Hashable, Item] | None]) -> list[Item]:
    """Draw items with new keys.

    Args:
        count: number of items.
        seen: keys drawn before; new ones are added.
        one: returns the key and the item for a running number, which it may use to balance items; None if it fails.
    """
    drawn: list[Item] = []
    while len(drawn) < count:
        pair = one(len(drawn))
        if pair is not None and pair[0] not in seen:
            seen.add(pair[0])
            drawn.append(pair[1])
    return drawn


def any_clause(generator: random.Random, negative: bool = False) -> Clause:
    """Draw a clause with all its parts."""
    event = generator.choice(tuple(EVENTS))
    return Clause(
        person=generator.choice(PEOPLE),
        event=event,
        place=generator.choice(EVENTS[event]),
        time=generator.choice(TIMES),
        negative=negative,
        front=generator.random() < 0.5,
    )


def nli(generator: random.Random, seen: Seen, count: int) -> list[NliItem]:
    """Draw inference items with balanced labels.

    Polarity, parts and length of the hypothesis do not depend on the label.
    """

    def one(i: int) -> tuple[Hashable, NliItem] | None:
        """Draw the pair of a number; None if its facts do not have the label that it should have."""
        item = _pair(generator, LABELS[i % 3], negative=i // 3 % 2 == 1, shape=i // 6 % 3)
        if judge(item.premise, item.hypothesis) != item.label:
            return None
        key = (tuple(replace(c, front=False) for c in item.premise), replace(item.hypothesis, front=False))
        return key, item

    return draw(count, seen, one)


def judge(premise: tuple[Clause, ...], hypothesis: Clause) -> str:
    """Return the label that the rules of the small world give; empty if they contradict each other.

    Args:
        premise: the facts.
        hypothesis: the statement to judge.
    """
    labels = set()
    for fact in premise:
        if (fact.person, fact.event) != (hypothesis.person, hypothesis.event):
            continue
        less, more = (fact, hypothesis) if fact.negative else (hypothesis, fact)
        if fact.negative == hypothesis.negative and _within(less, more):
            labels.add("entailment")
        if fact.negative != hypothesis.negative:
            denied, affirmed = (fact, hypothesis) if fact.negative else (hypothesis, fact)
            if _within(denied, affirmed):
                labels.add("contradiction")
    if not labels:
        return "neutral"
    return labels.pop() if len(labels) == 1 else ""


def _within(less: Clause, more: Clause) -> bool:
    """Return whether the clause ``more`` has every part of the clause ``less``."""
    return all(not getattr(less, part) or getattr(less, part) == getattr(more, part) for part in ("place", "time"))


def _pair(generator: random.Random, label: str, negative: bool, shape: int) -> NliItem:
    """Draw one pair whose hypothesis has a polarity and a shape (bare, with a place, or with a time).

    Dropping a part keeps a positive statement true, and adding one keeps a denial true. So a denial in the premise has
    no more parts than the hypothesis.
    """
    full = any_clause(generator, negative)
    said = replace(full, place=full.place if shape == 1 else "", time=full.time if shape == 2 else "")
    two = generator.random() < 0.6
    other = any_clause(generator, generator.random() < 0.5)
    while other.person == full.person or other.event == full.event:
        other = any_clause(generator, other.negative)
    other = replace(other, place="") if generator.random() < 0.5 else replace(other, time="", front=False)
    if label == "neutral":
        fact, other, two = _unrelated(generator, said, full, other, two)
    else:
        truth = negative == (label == "entailment")
        more = not truth and (not two or generator.random() < 0.5)
        fact = replace(said, negative=truth, front=full.front)
        if more:
            fact = replace(fact, place=full.place, time=full.time)
        elif truth and generator.random() < 0.5:
            fact = replace(fact, place="", time="", front=False)
        two = two or replace(fact, front=False) == replace(
            said, front=False
        )  # the premise must not be the hypothesis alone
    clauses = [fact, other][: 1 + two]
    if two:
        clauses = [replace(c, front=False) for c in clauses]
        generator.shuffle(clauses)
    return NliItem(tuple(clauses), replace(said, front=generator.random() < 0.5), label)


def _unrelated(
    generator: random.Random, said: Clause, full: Clause, other: Clause, two: bool
) -> tuple[Clause, Clause, bool]:
    """Draw facts that leave a statement open: a part is new, or person and event are in separate clauses."""
    true = generator.random() < 0.5
    if (said.place or said.time) and generator.random() < 0.5:
        bare = replace(said, negative=False, place="", time="", front=False)
        if not two or generator.random() < 0.5:  # add the other part, so that the premise is not shorter
            bare = replace(bare, time=full.time) if said.place else replace(bare, place=full.place)
        return bare, other, two
    way = generator.randrange(3)
    if way == 2:  # both are mentioned, but not together
        return (
            replace(full, event=other.event, place="", negative=true, front=False),
            replace(other, event=full.event, place=said.place),
            True,
        )
    fact = replace(full, person=other.person) if way else replace(full, event=other.event, place=other.place)
    if not two and generator.random() < 0.5:
        fact = replace(fact, place="")
    elif two:
        fact = replace(fact, place=said.place if way else "", time=said.time)
        other = _stranger(generator, said, fact, other)
    return replace(fact, negative=true), other, two


def _stranger(generator: random.Random, said: Clause, fact: Clause, other: Clause) -> Clause:
    """Give the second clause a person and an event that have nothing to do with the hypothesis."""
    people = [p for p in PEOPLE if p not in (said.person, fact.person)]
    events = [e for e in EVENTS if e not in (said.event, fact.event) and (not other.place or other.place in EVENTS[e])]
    return replace(other, person=generator.choice(people), event=generator.choice(events))


def qa(generator: random.Random, seen: Seen, count: int) -> list[QaItem]:
    """Draw questions about two or three people, each with a place and a time; often two did the same thing."""

    def one(i: int) -> tuple[Hashable, QaItem] | None:
        """Draw the question of a number; None if the clauses leave its answer open."""
        what = ("who", "what", "where", "when")[i % 4]
        clauses = [any_clause(generator) for _ in range(2 + i // 4 % 2)]
        at = i // 8 % len(clauses)
        if generator.random() < 0.5 and what != "what":
            like = clauses[at - 1]
            if len(EVENTS[like.event]) < 3:
                return None
            clauses[at] = replace(clauses[at], event=like.event, place=generator.choice(EVENTS[like.event]))
        elif len({c.event for c in clauses}) < len(clauses):
            return None
        if any(len({getattr(c, part) for c in clauses}) < len(clauses) for part in ("person", "place", "time")):
            return None
        if what == "what":
            clauses[at] = replace(clauses[at], front=False)
        key = (tuple(replace(c, front=False) for c in clauses), at, what)
        return key, QaItem(tuple(clauses), at, what)

    return draw(count, seen, one)


def choice(generator: random.Random, seen: Seen, pairs: tuple[str, ...], count: int) -> list[ChoiceItem]:
    """Draw choices; every pair is the right and the wrong answer equally often, in both directions and positions.

    Args:
        generator: source of randomness.
        seen: combinations drawn before; new ones are added.
        pairs: ids of the causal pairs.
        count: number of items.
    """
    kinds = (("cause", 0), ("cause", 1), ("effect", 0), ("effect", 1))
    drawn: list[ChoiceItem] = []
    turn = 0
    while len(drawn) < count:
        asks, label = kinds[turn % 4]
        turn += 1
        drawn += _round(generator, seen, pairs, asks, label)
    return drawn[:count]


def _round(generator: random.Random, seen: Seen, pairs: tuple[str, ...], asks: str, label: int) -> list[ChoiceItem]:
    """Match every pair with another one as its wrong answer, each used once."""
    while True:
        order = list(pairs)
        others = list(pairs)
        generator.shuffle(order)
        for i in range(
            len(order) - 1, -1, -1
        ):  # repair a random order place by place; only few combinations are not allowed
            fits = [j for j in range(i + 1) if _fits(order[i], others[j], asks, seen)]
            if not fits:
                break
            j = generator.choice(fits)
            others[i], others[j] = others[j], others[i]
        else:
            seen.update((asks, a, b) for a, b in zip(order, others, strict=True))
            return [ChoiceItem(a, b, asks, label) for a, b in zip(order, others, strict=True)]


def _fits(of: str, other: str, asks: str, seen: Seen) -> bool:
    return of != other and frozenset((of, other)) not in CLOSE and (asks, of, other) not in seen


def statements(generator: random.Random, seen: Seen, count: int, parts: int = 3) -> list[Clause]:
    """Draw clauses with one to three parts, a quarter of them negative, with events and people in turn.

    Args:
        generator: source of randomness.
        seen: clauses drawn before; new ones are added.
        count: number of clauses.
        parts: 1 to keep place and time, 2 to drop some times, 3 to drop some times and some places.
    """
    events, people = list(EVENTS), list(PEOPLE)

    def one(i: int) -> tuple[Hashable, Clause] | None:
        """Draw the clause of a number."""
        full = any_clause(generator, negative=i % 4 == 3)
        event = events[i % len(events)]
        person = people[(i + i // len(events)) % len(people)]
        full = replace(full, event=event, person=person, place=generator.choice(EVENTS[event]))
        drop = generator.randrange(parts)
        clause = replace(full, time="" if drop == 1 else full.time, place="" if drop == 2 else full.place)
        clause = replace(clause, front=clause.front and bool(clause.time))
        return replace(clause, front=False), clause

    return draw(count, seen, one)
