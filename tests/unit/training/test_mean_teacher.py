"""The moving average as a teacher: who hears what, how much it counts, and that it changes nothing that is known."""

import dataclasses
import math

import pytest
import torch
from safetensors.torch import load_file

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.learner import Learner
from rfcx_ssl.training.mean_teacher import MeanTeacherSettings

TEACHER = ("average.ema.decay=0.9", "mean_teacher.weight=5", "mean_teacher.ramp=4")


def test_trust_rises_over_the_ramp():
    settings = MeanTeacherSettings(weight=2, ramp=0.25)
    trust = [settings.trust(step, 40) for step in range(40)]
    assert trust[0] == pytest.approx(math.exp(-5)) and trust[5] == pytest.approx(math.exp(-5 / 4))
    assert trust[:11] == sorted(trust[:11]) and set(trust[10:]) == {1.0}
    assert MeanTeacherSettings(weight=2, ramp=0).trust(0, 40) == 1.0
    assert MeanTeacherSettings(weight=2, ramp=20).trust(10, 40) == trust[5]


@pytest.mark.parametrize("values", [{"weight": 0}, {"weight": 1, "ramp": -1}])
def test_wrong_settings_are_refused(values):
    with pytest.raises(ValueError, match=list(values)[-1]):
        MeanTeacherSettings(**values)


def test_a_teacher_is_a_moving_average(run_toy):
    with pytest.raises(ConfigError, match=r"mean_teacher needs average\.ema\.decay"):
        run_toy("run", "max_steps=2", "mean_teacher.weight=1")


@pytest.fixture
def learner(toy, monkeypatch):
    """A learner of the toy model with a teacher, and one batch."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    settings = toy.toy_settings("output_dir=unused", "max_steps=8", *TEACHER)
    parts = toy.toy_parts(teacher_weight=5.0, dropout=0.5, batch_norm=True)
    parts = dataclasses.replace(parts, augment=lambda batch, _: batch._replace(waveform=batch.waveform.flip(1)))
    made = Learner(settings, parts, toy.make_accelerator(settings), 8, None)
    return made, toy.collate([parts.train_set[index] for index in range(4)])


def test_the_teacher_hears_the_crop_without_noise_and_in_evaluation_mode(learner, toy):
    learner, batch = learner
    for step in range(2):
        learner.step([batch], step)
    before = {name: value.clone() for name, value in learner.ema.model.state_dict().items()}
    learner._generator.manual_seed(3)
    lesson = learner._lesson(batch, 3)
    assert not any(
        parameter.requires_grad or parameter.grad is not None for parameter in learner.ema.model.parameters()
    )
    assert not lesson.teacher_frame.requires_grad and not learner.ema.model.training
    assert all(torch.equal(value, before[name]) for name, value in learner.ema.model.state_dict().items())
    copy = toy.ToyModel(dropout=0.5, batch_norm=True).eval()
    copy.load_state_dict(before)
    flipped = batch.waveform.flip(1)
    torch.testing.assert_close(lesson.teacher_frame, copy(flipped).frame_logits.sigmoid())
    torch.testing.assert_close(lesson.teacher_clip, copy(flipped).clip_logits.sigmoid())
    noise = lesson.waveform - flipped
    assert 0.05 < noise.std() < 0.2  # of the student alone
    assert lesson.trust.item() == pytest.approx(math.exp(-5 / 16))


class Known:
    """Toy items of which everything is known."""

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def set_epoch(self, epoch):
        self.data.set_epoch(epoch)

    def __getitem__(self, index):
        item = self.data[index]
        return item._replace(known=torch.ones_like(item.known), clip_known=torch.ones_like(item.clip_known))


@pytest.mark.parametrize("everything_known", [True, False])
def test_a_teacher_changes_a_run_only_where_something_is_unknown(run_toy, toy, monkeypatch, everything_known):
    if everything_known:
        original = toy.ToyData
        monkeypatch.setattr(toy, "ToyData", lambda **options: Known(original(**options)))
    alone, taught = (
        run_toy(name, "max_steps=6", *options, parts={"dropout": 0.3})
        for name, options in (("alone", TEACHER[:1]), ("taught", TEACHER))
    )
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (alone, taught))
    assert all(torch.equal(value, other[name]) for name, value in one.items()) == everything_known
