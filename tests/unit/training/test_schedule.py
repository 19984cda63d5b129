"""Schedules against transformers, fairseq and torch, which count optimizer steps as we do."""

import math
import types

import pytest
import torch
from transformers import get_cosine_schedule_with_warmup, get_linear_schedule_with_warmup

from rfcx_ssl.training.schedule import (
    ConstantScheduleSettings,
    CosineScheduleSettings,
    LinearScheduleSettings,
    StepScheduleSettings,
    TriStageScheduleSettings,
    learning_rate_factor,
)

TOTAL, WARMUP = 50, 8


def factors(schedule):
    return [learning_rate_factor(step, TOTAL, schedule) for step in range(TOTAL)]


def factors_of(make_scheduler):
    """Rates of a torch scheduler over an optimizer with a rate of 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make_scheduler(optimizer), []
    for _ in range(TOTAL):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        (CosineScheduleSettings, get_cosine_schedule_with_warmup),
        (LinearScheduleSettings, get_linear_schedule_with_warmup),
    ],
)
def test_decay_equals_transformers(kind, reference):
    theirs = factors_of(lambda optimizer: reference(optimizer, WARMUP, TOTAL))
    ours = factors(kind(warmup=WARMUP))
    assert ours[WARMUP:] == pytest.approx(theirs[WARMUP:], abs=1e-12)
    # In the warm-up theirs starts with a step at rate 0; ours is the same line, one step ahead of a warm-up of W + 1.
    assert ours[:WARMUP] == pytest.approx([(step + 1) / (WARMUP + 1) for step in range(WARMUP)])
    assert all(value > 0 for value in ours)


def test_tri_stage_equals_fairseq():
    tri_stage = pytest.importorskip("fairseq.optim.lr_scheduler.tri_stage_lr_scheduler")
    cfg = tri_stage.TriStageLRScheduleConfig(
        phase_ratio=(0.16, 0.4, 0.44), init_lr_scale=0.01, final_lr_scale=0.05, max_update=TOTAL, lr=[1.0]
    )
    record = types.SimpleNamespace(lr=0.0)
    optimizer = types.SimpleNamespace(set_lr=lambda lr: setattr(record, "lr", lr), get_lr=lambda: record.lr)
    scheduler = object.__new__(tri_stage.TriStageLRSchedule)
    scheduler.cfg, scheduler.optimizer = cfg, optimizer
    scheduler.peak_lr, scheduler.init_lr, scheduler.final_lr = 1.0, 0.01, 0.05
    scheduler.warmup_steps, scheduler.hold_steps, scheduler.decay_steps = 8, 20, 22
    scheduler.warmup_rate = (1.0 - 0.01) / 8
    scheduler.decay_factor = -math.log(0.05) / 22
    theirs = [scheduler.step_update(step) for step in range(TOTAL)]
    ours = factors(TriStageScheduleSettings(warmup=0.16, hold=0.4, start_factor=0.01, end_factor=0.05))
    assert ours == pytest.approx(theirs, rel=1e-9)


def test_constant_stays_at_the_peak():
    assert factors(ConstantScheduleSettings(warmup=0)) == [1.0] * TOTAL


def test_end_factor_is_where_the_decay_would_arrive():
    schedule = LinearScheduleSettings(warmup=0, end_factor=0.2)
    assert learning_rate_factor(TOTAL, TOTAL, schedule) == pytest.approx(0.2)
    assert learning_rate_factor(0, TOTAL, schedule) == 1.0


@pytest.mark.parametrize(("step_size", "steps"), [(7, 7), (0.3, 15), (60, 60), (0.001, 1)])
@pytest.mark.parametrize("gamma", [0.1, 0.5, 1.0])
def test_step_equals_torch(step_size, steps, gamma):
    theirs = factors_of(lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, steps, gamma))
    assert factors(StepScheduleSettings(warmup=0, step_size=step_size, gamma=gamma)) == pytest.approx(theirs)
    warm = factors(StepScheduleSettings(warmup=5, step_size=step_size, gamma=gamma))
    assert warm == pytest.approx([(step + 1) / 6 for step in range(5)] + theirs[5:])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (ConstantScheduleSettings, {"warmup": -1}, "warmup=-1 must be 0 or more"),
        (CosineScheduleSettings, {"start_factor": 2}, "start_factor=2 must be in"),
        (LinearScheduleSettings, {"end_factor": 2}, "end_factor=2 must be in"),
        (TriStageScheduleSettings, {"end_factor": 0}, "end_factor=0 must be in .*exponential"),
        (TriStageScheduleSettings, {"hold": 1.0}, "hold=1.0 must be in"),
        (StepScheduleSettings, {"step_size": 0}, "step_size=0 must be above 0"),
        (StepScheduleSettings, {"gamma": 0}, "gamma=0 must be in"),
    ],
)
def test_rules(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)
