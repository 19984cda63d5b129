import math

import numpy as np
import pytest
import torch
from torch import nn

from rfcx_ssl.probing.features import Features
from rfcx_ssl.probing.health import code_counts_use, codebook_use, effective_rank, layer_health
from rfcx_ssl.probing.listeners import Quantizer, open_encoder


@pytest.mark.parametrize("shape", [(40, 5), (4, 9)])
def test_effective_rank_is_that_of_the_eigenvalues(shape):
    frames = np.random.default_rng(0).normal(size=shape) * np.arange(1, shape[1] + 1)
    centered = frames - frames.mean(axis=0)
    eigenvalues = np.linalg.eigvalsh(centered @ centered.T)
    values = [math.sqrt(value) for value in eigenvalues if value > 1e-9]
    entropy = -sum(value / sum(values) * math.log(value / sum(values)) for value in values)
    assert effective_rank(torch.from_numpy(frames)) == pytest.approx(math.exp(entropy))


def test_effective_rank_of_plain_cases():
    corners = torch.cat([torch.eye(4), -torch.eye(4)])
    assert effective_rank(corners) == pytest.approx(4)
    assert effective_rank(torch.linspace(0, 1, 9)[:, None] * torch.ones(5)) == pytest.approx(1)
    assert effective_rank(torch.full((6, 3), 0.7)) == 0


def test_collapsed_frames_have_cosine_one():
    rng = np.random.default_rng(0)
    spread, collapsed = rng.normal(size=(500, 16)), np.ones((500, 16))
    features = Features(np.concatenate([spread, collapsed], axis=1).astype(np.float16), 0, 2)
    first, second = layer_health(features, np.arange(500), rng)
    assert abs(first.cosine) < 0.05
    assert second.cosine == pytest.approx(1)
    assert first.effective_rank > 15
    assert second.effective_rank == 0


def test_use_of_codes_by_hand():
    use = code_counts_use(torch.tensor([[2, 2, 0, 0], [9, 0, 0, 0]]))
    assert use.share_used == [0.5, 0.25]
    assert use.perplexity == pytest.approx([2.0, 1.0])
    assert use.num_codes == 4


def test_codes_are_the_largest_logits_of_each_codebook(encoder_dir):
    listener = open_encoder(str(encoder_dir("wav2vec2"))).listener
    assert codebook_use(listener, []) is None
    project = nn.Linear(listener.extractor_dim, 6)
    nn.init.zeros_(project.weight)
    with torch.no_grad():
        project.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 2.0]))
    listener.quantizer = Quantizer(project, num_groups=2)
    noise = np.random.default_rng(0).normal(size=4 * listener.hop_samples).astype(np.float32)
    assert set(map(tuple, listener.codes(torch.from_numpy(noise)).tolist())) == {(1, 2)}
    use = codebook_use(listener, [noise])
    assert use.share_used == pytest.approx([1 / 3, 1 / 3])
    assert use.perplexity == pytest.approx([1, 1])
