"""What a teacher says is a lesson about unknown cells, and about those alone."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.labels import Batch, TaughtBatch
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.species import label_space, rfcx_species

SPACE = label_space(rfcx_species())
K = SPACE.num_outputs


def case(seed, share_known, trust=0.3, size=2, frames=5):
    """Logits and a taught batch with soft labels, in float64."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    labels = []
    for shape in ((size, frames, K), (size, K)):
        known = draw(*shape) * (draw(*shape) < share_known)
        labels += [draw(*shape) * (known > 0), known]
    output = SimpleNamespace(
        frame_logits=(8 * draw(size, frames, K) - 4).requires_grad_(),
        clip_logits=(8 * draw(size, K) - 4).requires_grad_(),
        activity_logits=None,
        embedding=None,
    )
    batch = Batch(torch.zeros(size, 1), *labels, torch.arange(size))
    return output, TaughtBatch(*batch, draw(size, frames, K), draw(size, K), torch.tensor(trust))


def slow_mean(logits, probability, known):
    """Mean square difference over unknown cells, cell by cell."""
    total = count = 0.0
    for z, p, k in zip(*(values.flatten().tolist() for values in (logits, probability, known)), strict=True):
        if k == 0:
            total += (1 / (1 + 2.718281828459045**-z) - p) ** 2
            count += 1
    return total / count if count else 0.0, count


@pytest.mark.parametrize("share_known", [0.0, 0.4, 1.0])
def test_terms_match_a_loop(share_known):
    output, batch = case(1, share_known)
    loss = build_loss(LossSettings(clip_ratio=0.25), SPACE, teacher_weight=2.0)
    terms, masses = loss(output, batch), loss.masses(batch)
    frame, frames = slow_mean(output.frame_logits, batch.teacher_frame, batch.known)
    clip, clips = slow_mean(output.clip_logits, batch.teacher_clip, batch.clip_known)
    assert terms["teacher_frame"].item() == pytest.approx(2.0 * 0.75 * 0.3 * frame, rel=1e-6)
    assert terms["teacher_clip"].item() == pytest.approx(2.0 * 0.25 * 0.3 * clip, rel=1e-6)
    assert (masses["teacher_frame"].item(), masses["teacher_clip"].item()) == (frames, clips)
    others = build_loss(LossSettings(clip_ratio=0.25), SPACE)
    assert {**others(output, batch), "loss": None} == {
        name: value if name != "loss" else None for name, value in terms.items() if not name.startswith("teacher")
    }
    assert terms["loss"].item() == pytest.approx(sum(v.item() for name, v in terms.items() if name != "loss"))


@given(seed=st.integers(0, 2**32), share_known=st.floats(0, 1))
def test_known_cells_are_never_touched(seed, share_known):
    output, batch = case(seed, share_known)
    loss = build_loss(LossSettings(), SPACE, teacher_weight=5.0)
    terms = loss(output, batch)
    lesson = terms["teacher_frame"] + terms["teacher_clip"]
    frame, clip = torch.autograd.grad(lesson, (output.frame_logits, output.clip_logits))
    assert not frame[batch.known > 0].any() and not clip[batch.clip_known > 0].any()
    assert frame[batch.known == 0].all() and clip[batch.clip_known == 0].all()
    other = batch._replace(
        teacher_frame=torch.where(batch.known > 0, 1 - batch.teacher_frame, batch.teacher_frame),
        teacher_clip=torch.where(batch.clip_known > 0, 1 - batch.teacher_clip, batch.teacher_clip),
    )
    assert loss(output, other) == terms


def test_a_loss_of_one_kind_of_cells_has_one_kind_of_teacher():
    names = [
        [term.name for term in build_loss(LossSettings(clip_ratio=r), SPACE, teacher_weight=1).terms] for r in (0, 1)
    ]
    assert names == [["frame", "teacher_frame"], ["clip", "teacher_clip"]]
