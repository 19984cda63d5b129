"""The learner around its steps: what a skipped one leaves alone."""

import math

import pytest
import torch

from rfcx_ssl.training.learner import Learner


@pytest.mark.parametrize("warmup", ["true", "false"])
def test_a_skipped_step_does_not_move_the_average(toy, monkeypatch, warmup):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    settings = toy.toy_settings("output_dir=x", "average.ema.decay=0.9", f"average.ema.warmup={warmup}", max_steps=3)
    learner = Learner(settings, toy.toy_parts(augment=False), toy.make_accelerator(settings), 3, None)
    good, bad = (toy.collate([toy.ToyData()[row] for row in range(4)]) for _ in range(2))
    bad.waveform[1, 3] = math.nan
    assert learner.step([good], 0).finite
    before = learner.weights()
    assert not learner.step([bad], 1).finite
    assert all(torch.equal(value, before[name]) for name, value in learner.weights().items())
    assert learner.step([good], 2).finite
    assert not all(torch.equal(value, before[name]) for name, value in learner.weights().items())
