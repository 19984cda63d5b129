"""Mixup of crops with three-state labels (Zhang et al. 2018, arXiv:1710.09412).

Union labels are what the best RFCX solutions used; levels are matched as in between-class learning (Tokozume et al.
2018, arXiv:1711.10282), because recorders and sites differ by more than a share can make up for.
"""

from typing import Literal

import torch
from scipy.special import betaincinv
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Draws, TransformSettings, power, random_partner, uniform
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.states import States, blend, union
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings

QUANTILES = 4097
MAX_GAIN_DB = 20.0


@settings
class MixupSettings(TransformSettings):
    """Add a partner from the batch to each crop."""

    alpha: float = 0.4  # shares follow Beta(alpha, alpha)
    labels: Literal["union", "linear"] = "union"
    min_share: float = 0.2  # quieter parts would be inaudible while a union label still claims them
    match_level: bool = True  # bring the partner to the crop's own power first, so that a share is a loudness

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha <= 0:
            raise ValueError(f"alpha={self.alpha} must be positive")
        if not 0.0 <= self.min_share <= 0.5:
            raise ValueError(f"min_share={self.min_share} must lie in [0, 0.5]")


class MixupAugmentation(RowsAugmentation):
    """Waveforms by :func:`mix_waveforms`, labels by the algebra of ``states``.

    Partners are a random cyclic permutation of the batch: every crop serves once, none meets itself. The share is
    drawn from Beta(alpha, alpha) and then kept within [min_share, 1 - min_share].
    """

    quantiles: Tensor

    def __init__(self, config: MixupSettings, noise_output: int | None = None) -> None:
        super().__init__(config.p)
        self.config = config
        self.noise_output = noise_output
        levels = torch.linspace(0, 1, QUANTILES, dtype=torch.float64).numpy()
        table = torch.tensor(betaincinv(config.alpha, config.alpha, levels), dtype=torch.float32)
        self.register_buffer("quantiles", table, persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Partner of every crop (B,), share of the chosen ones."""
        return {
            "partner": random_partner(batch, generator),
            "share": self._beta(uniform(count, batch, generator)),
        }

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Mix waveforms, frame labels and clip labels."""
        partner, share = draws["partner"].index_select(0, draws["rows"]), draws["share"]
        other = Batch(*(field.index_select(0, partner) for field in whole))
        waveform = mix_waveforms(part.waveform, other.waveform, share, match_level=self.config.match_level)
        frame = self._mix(States(part.target, part.known), States(other.target, other.known), share[:, None, None])
        clip = self._mix(
            States(part.clip_target, part.clip_known), States(other.clip_target, other.clip_known), share[:, None]
        )
        return Batch(waveform, frame.target, frame.known, clip.target, clip.known, part.index)

    def _mix(self, first: States, second: States, share: Tensor) -> States:
        if self.config.labels == "union":
            return union(first, second, self.noise_output)
        return blend(first, second, share, self.noise_output)

    def _beta(self, draw: Tensor) -> Tensor:
        """Beta numbers from uniform ones through the table of quantiles (a generator cannot feed torch's Beta)."""
        position = draw * (QUANTILES - 1)
        below = position.floor().clamp(max=QUANTILES - 2)
        low, high = self.quantiles[below.long()], self.quantiles[below.long() + 1]
        share = torch.lerp(low, high, position - below)
        return share.clamp(self.config.min_share, 1.0 - self.config.min_share)


def mix_waveforms(own: Tensor, other: Tensor, share: Tensor, *, match_level: bool) -> Tensor:
    """``share * own + (1 - share) * gain * other``, written into ``own`` (R, N); ``share`` (R,) in [0, 1].

    ``gain`` gives ``other`` the mean square of ``own``, by at most MAX_GAIN_DB either way (silence stays silence); without
    ``match_level`` it is 1, and waveforms in [-1, 1] stay there.
    """
    weight = 1.0 - share
    if match_level:
        weight = weight * _matching_gain(own, other)
    return own.mul_(share[:, None]).addcmul_(other, weight[:, None])


def _matching_gain(waveform: Tensor, other: Tensor) -> Tensor:
    """(R,) amplitude factor that gives each partner the power of its crop, within limits."""
    limit = 10 ** (MAX_GAIN_DB / 20)
    return (power(waveform).clamp(min=1e-12) / power(other).clamp(min=1e-12)).sqrt().clamp(1 / limit, limit)
