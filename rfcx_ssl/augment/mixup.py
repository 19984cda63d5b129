"""Mixup of clips with three-state labels (Zhang et al. 2018, arXiv:1710.09412).

Union labels are what the best RFCX solutions used; levels are matched as in between-class learning (Tokozume et al.
2018, arXiv:1711.10282), because recorders and sites differ by more than a share can make up for.
"""

from typing import Literal

import torch
from scipy.special import betaincinv
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Augmentation, Draws, power, random_partner, uniform
from rfcx_ssl.augment.states import States, blend, select, union
from rfcx_ssl.config import settings
from rfcx_ssl.labels import Batch

QUANTILES = 4097
MAX_GAIN_DB = 20.0


@settings
class MixupSettings:
    """Add a partner from the batch to each clip."""

    p: float = 0.0
    alpha: float = 0.4  # shares follow Beta(alpha, alpha)
    labels: Literal["union", "linear"] = "union"
    min_share: float = 0.2  # quieter parts would be inaudible while a union label still claims them
    match_level: bool = True  # bring the partner to the clip's own power first, so that a share is a loudness

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")
        if self.alpha <= 0:
            raise ValueError(f"alpha={self.alpha} must be positive")
        if not 0.0 <= self.min_share <= 0.5:
            raise ValueError(f"min_share={self.min_share} must lie in [0, 0.5]")


class MixupAugmentation(Augmentation):
    """``share * clip + (1 - share) * gain * partner``; labels by the algebra of ``states``.

    Partners are a random cyclic permutation of the batch: every clip serves once, none meets itself. The share is
    drawn from Beta(alpha, alpha) and then kept within [min_share, 1 - min_share]. ``gain`` gives the partner the mean
    square of the clip, by at most MAX_GAIN_DB either way (silence stays silence); without ``match_level`` it is 1, and
    clips in [-1, 1] stay there.
    """

    quantiles: Tensor

    def __init__(self, config: MixupSettings, noise_output: int | None = None) -> None:
        super().__init__(config.p)
        self.config = config
        self.noise_output = noise_output
        levels = torch.linspace(0, 1, QUANTILES, dtype=torch.float64).numpy()
        table = torch.tensor(betaincinv(config.alpha, config.alpha, levels), dtype=torch.float32)
        self.register_buffer("quantiles", table, persistent=False)

    def draw(self, batch: Batch, generator: Generator | None) -> Draws:
        """Partner and share of each clip."""
        return {
            "chosen": self.coin(batch, generator),
            "partner": random_partner(batch, generator),
            "share": self._beta(uniform(batch, generator)),
        }

    def apply_draws(self, batch: Batch, draws: Draws) -> Batch:
        """Mix the chosen clips, frame labels and clip labels."""
        chosen, partner, share = draws["chosen"], draws["partner"], draws["share"]
        kept = torch.where(chosen, share, torch.ones_like(share))[:, None]
        other = batch.waveform.index_select(0, partner)
        if self.config.match_level:
            other = other.mul_(self._gain(batch.waveform, partner)[:, None])
        waveform = other.lerp_(batch.waveform, kept)  # by 1 is exact: clips that were not chosen do not change
        frame = self._mix(States(batch.target, batch.known), chosen, partner, share)
        clip = self._mix(States(batch.clip_target, batch.clip_known), chosen, partner, share)
        return Batch(waveform, frame.target, frame.known, clip.target, clip.known, batch.index)

    def _gain(self, waveform: Tensor, partner: Tensor) -> Tensor:
        """(B,) amplitude factor that gives each partner the power of its clip, within limits."""
        level = power(waveform).clamp(min=1e-12)
        limit = 10 ** (MAX_GAIN_DB / 20)
        return (level / level.index_select(0, partner)).sqrt().clamp(1 / limit, limit)

    def _mix(self, states: States, chosen: Tensor, partner: Tensor, share: Tensor) -> States:
        other = States(states.target.index_select(0, partner), states.known.index_select(0, partner))
        if self.config.labels == "union":
            mixed = union(states, other, self.noise_output)
        else:
            mixed = blend(states, other, share.view(-1, *(1,) * (states.target.dim() - 1)), self.noise_output)
        return select(chosen, mixed, states)

    def _beta(self, draw: Tensor) -> Tensor:
        """Beta numbers from uniform ones through the table of quantiles (a generator cannot feed torch's Beta)."""
        position = draw * (QUANTILES - 1)
        below = position.floor().clamp(max=QUANTILES - 2)
        low, high = self.quantiles[below.long()], self.quantiles[below.long() + 1]
        share = torch.lerp(low, high, position - below)
        return share.clamp(self.config.min_share, 1.0 - self.config.min_share)
