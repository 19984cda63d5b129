"""Center loss: embeddings of a crop are drawn to the learned centers of its species."""

import torch
from torch import Tensor, nn


class CenterLoss(nn.Module):
    """Half squared distance to the centers of the crop's known species (Wen et al. 2016, equation 2).

    Divided by the width, so that its weight does not depend on the encoder. The centers are registered parameters
    and learn by the same gradient.
    """

    def __init__(self, num_outputs: int, embedding_dim: int) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.randn(num_outputs, embedding_dim) / embedding_dim**0.5)

    def forward(self, embedding: Tensor, weight: Tensor) -> Tensor:
        """``embedding`` (B, D), ``weight`` (B, K) of each present species -> weighted mean over all pairs."""
        # |e - c|^2 = |e|^2 - 2 e.c + |c|^2, so no (B, K, D) tensor is made
        embedding = embedding.to(self.centers.dtype)
        squared = (
            embedding.square().sum(1)[:, None] - 2 * embedding @ self.centers.T + self.centers.square().sum(1)[None, :]
        ).clamp(min=0)
        total = weight.sum()
        mean = (squared * weight).sum() / torch.where(total > 0, total, torch.ones_like(total))
        return 0.5 * mean / embedding.shape[1]
