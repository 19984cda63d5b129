"""Agreement against its definition, one cell after the other."""

import numpy as np
import pytest
import torch

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.models.outputs import SedOutput
from rfcx_ssl.selftraining.distillation.agreement import Agreement, linear_cka, shuffled_cka
from rfcx_ssl.selftraining.distillation.recordings import Ears, find_unlabelled
from rfcx_ssl.selftraining.distillation.settings import UnlabelledSettings
from rfcx_ssl.selftraining.distillation.teachers import Taught
from rfcx_ssl.species import SpeciesTable, label_space
from rfcx_ssl.training.learner import make_accelerator

SPECIES = SpeciesTable.of_names(("frog", "owl", "bat"))


class Oracle:
    """Says something different of every crop; of the bat nothing."""

    grid, species, known, embedding_dims = FrameGrid(8_000, 4_000), SPECIES, torch.tensor([True, True, False]), (2,)

    def hear(self, crops, num_frames):
        waveform = crops[8_000]
        level = waveform.unflatten(1, (num_frames, -1)).std(dim=2)
        frame = torch.stack([(9 * level).clamp(0, 1), (2 - 6 * level).sigmoid(), 0 * level], dim=2)
        return Taught(frame, frame.amax(1), waveform[:, :2])


class Student(torch.nn.Module):
    """Says what a function says of what its teacher says."""

    space = label_space(SPECIES)

    def __init__(self, change):
        super().__init__()
        self.weight, self.change = torch.nn.Parameter(torch.zeros(1)), change

    def forward(self, waveform):
        taught = Oracle().hear({8_000: waveform}, 4)
        logits = torch.logit(self.change(taught.frame).double().clamp(1e-9, 1 - 1e-9))
        return SedOutput(logits, logits.amax(1), None, waveform[:, :2] * 3 + 1)


@pytest.fixture
def judged(sounds, settings_for, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    recordings = find_unlabelled(UnlabelledSettings(folders=(sounds,)), 8_000)
    agreement = Agreement(recordings, Oracle(), Ears(2.0, (8_000,)))
    accelerator = make_accelerator(settings_for("unused", "max_steps=1"))
    return lambda change: agreement.metrics(agreement.score(Student(change), accelerator))


def test_agreement_is_one_minus_kl_over_that_of_the_best_constant(judged, sounds):
    values = judged(lambda p: 0.7 * p + 0.1)
    crops = [
        Oracle().hear({8_000: torch.from_numpy(crop)[None].float()}, 4).frame[0].double().numpy()
        for crop in all_crops(sounds)
    ]
    p = np.concatenate(crops)[:, :2].clip(1e-12, 1 - 1e-12)
    q = 0.7 * p + 0.1
    kl = lambda p, q: p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))  # noqa: E731
    ours, floor = kl(p, q).sum(axis=0), kl(p, p.mean(axis=0)).sum(axis=0)
    assert values["agreement"] == pytest.approx(1 - ours.sum() / floor.sum(), rel=1e-4)
    assert values["kl"] == pytest.approx(ours.sum() / p.size, rel=1e-4)
    assert values["kl_constant_floor"] == pytest.approx(floor.sum() / p.size, rel=1e-4)
    assert values["mse"] == pytest.approx(np.mean((p - q) ** 2), rel=1e-4)
    assert values["mse_constant_floor"] == pytest.approx(np.mean((p - p.mean(axis=0)) ** 2), rel=1e-4)
    assert values["agreement/owl"] == pytest.approx(1 - ours[1] / floor[1], rel=1e-4)
    assert np.isnan(values["agreement/bat"])
    assert values["cka"] == pytest.approx(1) and values["cka_shuffled_floor"] < 0.5


def test_the_same_is_one_and_a_constant_is_none_or_less(judged):
    assert judged(lambda p: p)["agreement"] == pytest.approx(1, abs=1e-6)
    assert judged(lambda p: 0 * p + 0.5)["agreement"] < 0.01
    assert judged(lambda p: 1 - p)["agreement"] < -1


def test_cka_does_not_see_rotations_and_scales():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 4))
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    assert linear_cka(x, 7 * x @ rotation + 2) == pytest.approx(1)
    assert linear_cka(x, rng.normal(size=(50, 4))) < 0.3 and shuffled_cka(x, x) < 0.3
    assert np.isnan(linear_cka(x, np.zeros((50, 0)))) and np.isnan(linear_cka(x[:2], x[:2]))


def all_crops(sounds):
    """The three crops of 2 s of each recording."""
    import soundfile

    for path in sorted(sounds.rglob("*.wav")):
        yield from soundfile.read(path)[0].reshape(3, 16_000)
