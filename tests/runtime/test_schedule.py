"""The learning rate rises, peaks and ends where it should."""

from __future__ import annotations

import pytest
import torch
from transformers import get_linear_schedule_with_warmup
from transformers.trainer import TrainingArguments

from adaptstilts.runtime.schedule import Schedule, from_settings
from adaptstilts.study import Train


def rates(schedule: Schedule) -> list[float]:
    """Return the learning rate of every step."""
    return [schedule.rate(step) for step in range(schedule.steps)]


def rates_of_transformers(steps: int, rising: int, lr: float) -> list[float]:
    """Return the learning rate of every step of an optimizer that transformers schedules."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = get_linear_schedule_with_warmup(optimizer, rising, steps)
    measured = []
    for _ in range(steps):
        measured.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return measured


@pytest.mark.parametrize("steps", [2, 3, 10, 95, 100, 101, 346])
@pytest.mark.parametrize("share", [0.0, 0.06, 0.1, 0.25, 0.5])
def test_a_share_is_that_of_the_trainer(steps: int, share: float) -> None:
    settings = Train(lr=3e-5, warmup=share)
    rising = TrainingArguments("unused", warmup_ratio=share, use_cpu=True).get_warmup_steps(steps)
    assert rates(from_settings(settings, steps)) == pytest.approx(rates_of_transformers(steps, rising, 3e-5), abs=1e-15)


@pytest.mark.parametrize("steps", [501, 346, 500, 2000])
def test_a_number_of_steps_is_that_of_the_trainer(steps: int) -> None:
    """Also if there are more of them than steps in all."""
    schedule = from_settings(Train(lr=3e-5, warmup_steps=500), steps)
    assert rates(schedule) == pytest.approx(rates_of_transformers(steps, 500, 3e-5), abs=1e-15)


def test_the_first_rate_is_zero_and_the_peak_follows_the_rise() -> None:
    schedule = from_settings(Train(lr=2.0, warmup=0.1), 95)
    assert schedule.rising == 10, "9.5 steps"
    assert rates(schedule)[:3] == pytest.approx([0.0, 0.2, 0.4])
    assert rates(schedule)[10] == max(rates(schedule)) == 2.0
    assert rates(schedule)[-1] == pytest.approx(2.0 / 85)


def test_the_earlier_rule_starts_a_step_later_and_rounds_down() -> None:
    schedule = from_settings(Train(lr=2.0, warmup=0.1, warmup_rule="earlier"), 95)
    assert schedule.rising == 9
    assert rates(schedule)[0] == pytest.approx(2.0 / 9)
    assert rates(schedule)[8] == rates(schedule)[9] == max(rates(schedule)) == 2.0
    assert rates(schedule)[-1] == pytest.approx(2.0 / 86)


@pytest.mark.parametrize("rule", ["trainer", "earlier"])
@pytest.mark.parametrize("share", [0.1, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_runs_have_a_rate(steps: int, share: float, rule: str) -> None:
    schedule = from_settings(Train.model_validate({"lr": 1.0, "warmup": share, "warmup_rule": rule}), steps)
    assert max(rates(schedule)) == 1.0


def test_without_warmup_both_rules_are_one() -> None:
    for steps in (1, 7):
        by_rule = [
            rates(from_settings(Train.model_validate({"lr": 1.0, "warmup": 0.0, "warmup_rule": rule}), steps))
            for rule in ("trainer", "earlier")
        ]
        assert by_rule[0] == by_rule[1]
        assert by_rule[0][0] == 1.0
