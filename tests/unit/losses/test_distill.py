"""The loss of a student against a float64 loop, and its parts against the whole."""

import numpy as np
import pytest
import torch

from rfcx_ssl.losses.distill import DistillLoss, Lesson
from rfcx_ssl.losses.settings import DistillLossSettings, EmbeddingSettings
from rfcx_ssl.models.outputs import SedOutput

B, T, S, D, WIDTHS = 5, 7, 3, 4, (2, 0, 6)


def make(seed=0):
    """An output with two outputs for the last species, and a lesson in which one species is not taught."""
    generator = torch.Generator().manual_seed(seed)
    normal = lambda *shape: 2 * torch.randn(*shape, generator=generator)  # noqa: E731
    known = (torch.rand(B, T, S, generator=generator) < 0.7).float()
    known[:, :, 0] = 0
    frame, clip = normal(B, T, S).sigmoid() * known, normal(B, S).sigmoid() * known.amax(1)
    output = SedOutput(normal(B, T, S + 1), normal(B, S + 1), None, normal(B, D))
    return output, Lesson(normal(B, 9), frame, known, clip, known.amax(1), torch.arange(B), normal(B, sum(WIDTHS)))


def merge(logits):
    return torch.cat([logits[..., :2], logits[..., 2:].amax(-1, keepdim=True)], dim=-1)


def loss_of(distance="cosine", temperature=2.5):
    torch.manual_seed(0)
    settings = DistillLossSettings(
        temperature=temperature, clip_ratio=0.25, embedding=EmbeddingSettings(weight=0.5, distance=distance)
    )
    return DistillLoss(settings, merge, D, WIDTHS)


def slow_cells(logits, targets, known, t):
    """Mean over known cells of t^2 times the cross-entropy at temperature t."""
    values = []
    for row, target, is_known in zip(logits, targets, known, strict=True):
        merged = [row[0], row[1], max(row[2], row[3])]
        for z, p, k in zip(merged, target, is_known, strict=True):
            p = min(max(p, 1e-6), 1 - 1e-6)
            soft = 1 / (1 + np.exp(-np.log(p / (1 - p)) / t))
            q = 1 / (1 + np.exp(-z / t))
            values += [-(t**2) * (soft * np.log(q) + (1 - soft) * np.log(1 - q))] if k else []
    return np.mean(values)


@pytest.mark.parametrize("distance", ["cosine", "mse"])
def test_terms_match_a_float64_loop(distance):
    output, lesson = make()
    loss = loss_of(distance)
    terms = {name: value.item() for name, value in loss(output, lesson).items()}
    flat = [part.double().flatten(0, -2).numpy() for part in (output.frame_logits, lesson.target, lesson.known)]
    clips = [part.double().numpy() for part in (output.clip_logits, lesson.clip_target, lesson.clip_known)]
    assert terms["frame"] == pytest.approx(0.75 * slow_cells(*flat, 2.5), rel=1e-5)
    assert terms["clip"] == pytest.approx(0.25 * slow_cells(*clips, 2.5), rel=1e-5)
    distances, start = [], 0
    for width, layer in zip((2, 6), loss.projections, strict=True):
        weight, bias = (value.detach().double().numpy() for value in (layer.weight, layer.bias))
        for ours, theirs in zip(output.embedding.double().numpy(), lesson.embedding.double().numpy(), strict=True):
            projected, wanted = weight @ ours + bias, theirs[start : start + width]
            cosine = projected @ wanted / np.linalg.norm(projected) / np.linalg.norm(wanted)
            distances.append(1 - cosine if distance == "cosine" else np.mean((projected - wanted) ** 2))
        start += width
    assert terms["embedding"] == pytest.approx(0.5 * np.mean(distances), rel=1e-5)
    assert terms["loss"] == pytest.approx(terms["frame"] + terms["clip"] + terms["embedding"], rel=1e-6)


def test_parts_of_a_batch_add_up_to_the_whole():
    """What gradient accumulation and several processes rely on: each term, by its share of the mass."""
    output, lesson = make(1)
    loss = loss_of()
    whole, masses = loss(output, lesson), loss.masses(lesson)
    assert list(masses) == [name for name in whole if name != "loss"]
    sums = dict.fromkeys(masses, 0.0)
    for rows in (slice(0, 2), slice(2, B)):
        part = Lesson(*(value[rows] for value in lesson))
        values = (output.frame_logits, output.clip_logits, output.embedding)
        frame, clip, embedding = (value[rows] for value in values)
        terms, mass = loss(SedOutput(frame, clip, None, embedding), part), loss.masses(part)
        for name in masses:
            sums[name] += (terms[name] * mass[name] / masses[name]).item()
    for name, total in sums.items():
        assert total == pytest.approx(whole[name].item(), rel=1e-5), name


def test_a_student_that_says_the_same_has_no_gradient():
    output, lesson = make(2)
    logits = torch.logit(lesson.target.clamp(1e-4, 1 - 1e-4))
    frames = torch.cat([logits, logits[..., 2:] - 1], dim=-1).requires_grad_()
    terms = loss_of(temperature=4.0)(SedOutput(frames, output.clip_logits, None, output.embedding), lesson)
    terms["frame"].backward()
    assert frames.grad[..., :2].abs().max() < 2e-4 and terms["frame"] > 0
