"""Any split of a batch, weighted by mass, gives the loss of the whole: for every term and setting of the real loss."""

import pytest
import torch

from rfcx_ssl.config import check_settings
from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.models.outputs import SedOutput
from rfcx_ssl.training.mass import masses_of, stack_masses

SETTINGS = [
    {},
    {"weighting": "cell", "unknown": {"weight": 0.1}},
    {"weighting": "box", "unknown": {"weight": 0.3}, "cell": {"kind": "focal"}},
    {"clip_ratio": 0.0, "activity": {"weight": 0.5}},
    {"clip_ratio": 0.0, "activity": {"weight": 0.5, "silence_weight": 0.1}},
    {
        "clip_ratio": 1.0,
        "lsep": {"weight": 1.0},
        "lwlrap": {"weight": 0.7},
        "center": {"weight": 0.2},
        "label_smoothing": 0.1,
    },
]


def batch_and_output(toy, clips=6, frames=5, outputs=3):
    generator = torch.Generator().manual_seed(1)
    draw = lambda *shape: torch.rand(shape, generator=generator)  # noqa: E731
    # Shares of known cells differ between clips, so that the split is uneven.
    known = (draw(clips, frames, outputs) < torch.linspace(0, 1, clips)[:, None, None]).float()
    target = (draw(clips, frames, outputs) < 0.4).float() * known
    batch = Batch(draw(clips, 8), target, known, target.amax(1), known.amax(1), torch.arange(clips))
    logits = draw(clips, frames, outputs) * 4 - 2
    return batch, SedOutput(logits, logits.amax(1), draw(clips, frames), draw(clips, 7))


def part(values, rows):
    return type(values)(*(value[rows] for value in (values if isinstance(values, tuple) else values.to_tuple())))


@pytest.mark.parametrize("values", SETTINGS)
@pytest.mark.parametrize("split", [[1, 5], [2, 2, 2], [3, 1, 1, 1]])
def test_split_batches_add_up(toy, values, split):
    loss = build_loss(check_settings(LossSettings, values, "loss"), toy.SPACE, embedding_dim=7)
    batch, output = batch_and_output(toy)
    whole = {name: value.item() for name, value in loss(output, batch).items()}
    rows = [rows.tolist() for rows in torch.arange(6).split(split)]
    masses = [masses_of(loss, part(batch, r)) for r in rows]
    shares = torch.stack([stack_masses(mass) for mass in masses])
    shares = shares / shares.sum(0)
    names = list(masses[0])
    assert set(names) == set(whole) - {"loss"}
    sums = torch.zeros(len(names))
    for share, r in zip(shares, rows, strict=True):
        terms = loss(part(output, r), part(batch, r))
        sums += torch.stack([terms[name] for name in names]).detach() * share
    assert dict(zip(names, sums.tolist(), strict=True)) == pytest.approx({n: whole[n] for n in names}, rel=1e-5)
    assert sums.sum().item() == pytest.approx(whole["loss"], rel=1e-5)


def test_a_loss_may_bring_its_own_masses(toy):
    class Mine:
        def masses(self, batch):
            return {"mine": batch.known.sum()}

    batch, _ = batch_and_output(toy)
    assert masses_of(Mine(), batch)["mine"] == batch.known.sum()
    with pytest.raises(TypeError, match="needs a method masses"):
        masses_of(lambda output, batch: {}, batch)
