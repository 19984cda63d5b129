"""Per-channel energy normalization (Wang et al. 2017, arXiv:1607.05666), a learned alternative to decibels."""

import torch
from torch import Tensor, nn

ENERGY_GAIN = 2.0**31  # puts the energies of audio in [-1, 1] where the constants were tuned
FLOOR = 1e-6


class Pcen(nn.Module):
    """Mel power (B, M, F) -> (B, M, F): ``(E / (floor + S)^alpha + delta)^r - delta^r`` with S a running mean of E.

    ``alpha``, ``delta`` and ``r`` are learned per band (as logarithms, so they stay positive). The smoothing
    coefficient is fixed, which makes the running mean one matrix product; it starts at the first frame.
    """

    log_alpha: Tensor
    log_delta: Tensor
    log_r: Tensor

    def __init__(
        self, num_bands: int, smoothing: float = 0.025, alpha: float = 0.98, delta: float = 2.0, r: float = 0.5
    ) -> None:
        super().__init__()
        self.smoothing = smoothing
        for name, value in (("log_alpha", alpha), ("log_delta", delta), ("log_r", r)):
            self.register_parameter(name, nn.Parameter(torch.full((num_bands,), value).log()))

    def forward(self, power: Tensor) -> Tensor:
        """(B, M, F) power, not decibels -> (B, M, F)."""
        energy = ENERGY_GAIN * power
        mean = smoothing_matrix(power.shape[1], self.smoothing, power) @ energy
        alpha, delta, r = self.log_alpha.exp(), self.log_delta.exp(), self.log_r.exp()
        gain = torch.exp(-alpha * torch.log(FLOOR + mean))
        return (energy * gain + delta).pow(r) - delta.pow(r)


def smoothing_matrix(size: int, smoothing: float, like: Tensor) -> Tensor:
    """(size, size) weights of the recursion S[t] = (1 - s) S[t-1] + s E[t], S[0] = E[0]; rows sum to 1."""
    time = torch.arange(size, device=like.device)
    lag = time[:, None] - time[None, :]
    weights = smoothing * (1 - smoothing) ** lag.clamp(min=0).to(like.dtype)
    weights = torch.where(time[None, :] == 0, weights / smoothing, weights)
    return torch.where(lag >= 0, weights, torch.zeros_like(weights))
