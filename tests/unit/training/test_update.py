"""One optimizer step: SAM against the paper's formula, clipping, and the guard against NaN."""

import math

import pytest
import torch
from accelerate import Accelerator

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.state import TrainState
from rfcx_ssl.training.update import LossOfBatch, Update


@pytest.fixture
def make_update(toy, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def make(lr=0.1, max_grad_norm=None, sam_radius=0.0, **model):
        parts = toy.toy_parts(**model)
        module = LossOfBatch(parts.model, parts.loss)
        optimizer = torch.optim.SGD(parts.model.parameters(), lr=lr)
        accelerator = Accelerator()
        optimizer = accelerator.prepare(optimizer)
        settings = {"max_grad_norm": max_grad_norm, "sam_radius": sam_radius}
        return parts.model, module, Update(accelerator, module, parts.loss, optimizer, **settings)

    return make


def batch_of(toy, rows=range(4)):
    data = toy.ToyData()
    return toy.collate([data[row] for row in rows])


def gradient(module, batch):
    module.zero_grad()
    module(batch)["loss"].backward()
    return [p.grad.clone() for p in module.model.parameters()]


def test_sam_steps_along_the_gradient_at_the_top_of_the_ball(toy, make_update):
    model, module, update = make_update(lr=0.1, sam_radius=0.3)
    batch = batch_of(toy)
    start = [p.detach().clone() for p in model.parameters()]
    first = gradient(module, batch)
    norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in first))
    with torch.no_grad():
        for p, g in zip(model.parameters(), first, strict=True):
            p.add_(0.3 * g / norm)
    second = gradient(module, batch)
    with torch.no_grad():
        for p, value in zip(model.parameters(), start, strict=True):
            p.copy_(value)
    module.zero_grad()
    report = update([batch], reseed=lambda: None)
    for p, value, g in zip(model.parameters(), start, second, strict=True):
        torch.testing.assert_close(p.detach(), value - 0.1 * g)
    assert report.grad_norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in second)), rel=1e-5)


def test_sam_counts_batch_statistics_once(toy, make_update):
    model, _, update = make_update(lr=0.0, sam_radius=0.5, batch_norm=True)
    update([batch_of(toy)], reseed=lambda: None)
    other, module, _ = make_update(batch_norm=True)
    module(batch_of(toy))
    torch.testing.assert_close(model.norm.running_mean, other.norm.running_mean)
    assert model.norm.num_batches_tracked == other.norm.num_batches_tracked == 1
    assert model.norm.momentum == 0.1


def test_gradient_is_clipped_and_its_norm_reported(toy, make_update):
    model, module, update = make_update(lr=1.0, max_grad_norm=0.01)
    start = [p.detach().clone() for p in model.parameters()]
    unclipped = gradient(module, batch_of(toy))
    module.zero_grad()
    report = update([batch_of(toy)], reseed=lambda: None)
    moves = [p.detach() - s for p, s in zip(model.parameters(), start, strict=True)]
    moved = math.sqrt(sum(float((move**2).sum()) for move in moves))
    assert moved == pytest.approx(0.01, rel=1e-3)
    assert report.grad_norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in unclipped)), rel=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("sam_radius", [0.0, 0.1])
def test_nan_skips_the_step(toy, make_update, value, sam_radius):
    model, _, update = make_update(sam_radius=sam_radius)
    start = [p.detach().clone() for p in model.parameters()]
    batch = batch_of(toy)
    batch.waveform[1, 3] = value
    report = update([batch], reseed=lambda: None)
    assert not report.finite
    assert all(torch.equal(p.detach(), s) for p, s in zip(model.parameters(), start, strict=True))
    assert all(p.grad is None for p in model.parameters())
    assert update([batch_of(toy)], reseed=lambda: None).finite


def statistics_of(model):
    return {name: buffer.clone() for name, buffer in model.named_buffers()}


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("bad_part", [0, 1])
@pytest.mark.parametrize("sam_radius", [0.0, 0.1])
def test_a_skipped_step_leaves_batch_statistics_as_they_were(toy, make_update, value, bad_part, sam_radius):
    model, _, update = make_update(sam_radius=sam_radius, batch_norm=True)
    assert update([batch_of(toy)], reseed=lambda: None).finite
    before = statistics_of(model)
    parts = [batch_of(toy, rows=range(4)), batch_of(toy, rows=range(4, 8))]
    parts[bad_part].waveform[1, 3] = value
    assert not update(parts, reseed=lambda: None).finite
    after = statistics_of(model)
    assert set(after) == {"norm.running_mean", "norm.running_var", "norm.num_batches_tracked"}
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert update([batch_of(toy)], reseed=lambda: None).finite
    assert not torch.equal(model.norm.running_mean, before["norm.running_mean"])


@pytest.fixture
def fp16_update(toy, monkeypatch):
    """Steps as fp16 takes them on a GPU: scaled by a real GradScaler, and what exceeds a half float is infinite."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def to_half(gradient):
        return torch.where(gradient.abs() > torch.finfo(torch.float16).max, math.inf, gradient)

    def make(init_scale, *, scaled=True, **model):
        parts = toy.toy_parts(**model)
        optimizer = torch.optim.SGD(parts.model.parameters(), lr=0.1)
        accelerator = Accelerator()
        if scaled:
            monkeypatch.setattr(Accelerator, "mixed_precision", "fp16")
            accelerator.native_amp = True
            accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=init_scale)
            for parameter in parts.model.parameters():
                parameter.register_hook(to_half)
        optimizer = accelerator.prepare(optimizer)
        module = LossOfBatch(parts.model, parts.loss)
        return parts.model, Update(accelerator, module, parts.loss, optimizer, max_grad_norm=1.0)

    return make


def test_fp16_survives_its_first_overflows(toy, fp16_update):
    plain_model, plain = fp16_update(1.0, scaled=False, batch_norm=True)
    plain([batch_of(toy)], reseed=lambda: None)
    model, update = fp16_update(2.0**24, batch_norm=True)
    start = [parameter.detach().clone() for parameter in model.parameters()]
    reports = []
    while not reports or not reports[-1].finite:
        reports.append(update([batch_of(toy)], reseed=lambda: None))
        if not reports[-1].finite:
            assert all(torch.equal(p.detach(), s) for p, s in zip(model.parameters(), start, strict=True))
        assert len(reports) < 24
    scaler = update.accelerator.scaler
    assert len(reports) > 2
    assert scaler.get_scale() == 2.0 ** (24 - (len(reports) - 1))  # halved by every overflow
    for mine, theirs in zip(model.state_dict().values(), plain_model.state_dict().values(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_too_many_bad_steps_stop_the_run(toy, make_update):
    _, _, update = make_update()
    batch = batch_of(toy)
    batch.waveform[:] = math.nan
    state = TrainState()
    bad, good = update([batch], reseed=lambda: None), update([batch_of(toy)], reseed=lambda: None)
    for report in (bad, bad, good, bad, bad):
        state.count(report, max_bad_steps=2)
    assert (state.step, state.bad_steps, state.sum_steps) == (5, 4, 1)
    with pytest.raises(
        RunError, match=r"3 steps in a row, the last step 6 \(loss nan, gradient norm nan; max_bad_steps=2"
    ):
        state.count(bad, max_bad_steps=2)


def test_batch_without_any_label_changes_nothing_but_is_finite(toy, make_update):
    model, _, update = make_update()
    batch = batch_of(toy)
    empty = batch._replace(known=batch.known * 0, clip_known=batch.clip_known * 0)
    start = [p.detach().clone() for p in model.parameters()]
    report = update([empty], reseed=lambda: None)
    assert report.finite
    assert report.terms["loss"] == 0
    assert all(torch.equal(p.detach(), s) for p, s in zip(model.parameters(), start, strict=True))
