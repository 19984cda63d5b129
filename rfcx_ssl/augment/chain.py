"""The chain of waveform augmentations: which transforms there are, in which order they run."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, nn

from rfcx_ssl.augment.background import BackgroundAugmentation, BackgroundSettings
from rfcx_ssl.augment.band_stop import BandStopAugmentation, BandStopSettings
from rfcx_ssl.augment.base import Augmentation, Draws, TransformSettings
from rfcx_ssl.augment.cutmix import CallCutMixAugmentation, CallCutMixSettings
from rfcx_ssl.augment.fade import FadeAugmentation, FadeSettings
from rfcx_ssl.augment.gain import GainAugmentation, GainSettings
from rfcx_ssl.augment.mixup import MixupAugmentation, MixupSettings
from rfcx_ssl.augment.noise import ColoredNoiseAugmentation, ColoredNoiseSettings, PinkNoiseSettings
from rfcx_ssl.augment.polarity import PolarityAugmentation, PolaritySettings
from rfcx_ssl.augment.shift import TimeShiftAugmentation, TimeShiftSettings
from rfcx_ssl.augment.speed import SpeedAugmentation, SpeedSettings
from rfcx_ssl.augment.stretch import TimeStretchAugmentation, TimeStretchSettings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings
from rfcx_ssl.species.space import LabelSpace


@settings
class AugmentSettings:
    """Every transform, None where it is off. They run in the order of these fields, whatever the YAML's."""

    speed: SpeedSettings | None = None
    stretch: TimeStretchSettings | None = None
    cutmix: CallCutMixSettings | None = None
    shift: TimeShiftSettings | None = None
    mixup: MixupSettings | None = None
    background: BackgroundSettings | None = None
    band_stop: BandStopSettings | None = None
    pink_noise: PinkNoiseSettings | None = None
    colored_noise: ColoredNoiseSettings | None = None
    fade: FadeSettings | None = None
    gain: GainSettings | None = None
    polarity: PolaritySettings | None = None
    peak_limit: float | None = None  # scale down (never clip) what exceeds this amplitude; None: leave levels alone

    def __post_init__(self) -> None:
        if self.peak_limit is not None and self.peak_limit <= 0:
            raise ValueError(f"peak_limit={self.peak_limit} must be positive or null")

    @property
    def transforms(self) -> dict[str, TransformSettings]:
        """Those that are on, in order."""
        every = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: value for name, value in every.items() if isinstance(value, TransformSettings)}


class Augment(nn.Module):
    """Transforms in order, with an optional limit of the peak at the end; identity in eval mode.

    Samples are not clipped: gain and noise may carry them beyond [-1, 1], which encoders that normalize their input
    do not notice. ``peak_limit`` scales such crops down as a whole.
    """

    def __init__(self, transforms: dict[str, Augmentation], grid: FrameGrid, peak_limit: float | None = None) -> None:
        super().__init__()
        self.transforms = nn.ModuleDict(transforms)
        self.grid = grid
        self.peak_limit = peak_limit

    def forward(self, batch: Batch, generator: Generator | None = None) -> Batch:
        """Augment a batch; ``generator`` lives on the batch's device and is the only source of randomness."""
        if not self.training or (not self.transforms and self.peak_limit is None):
            return batch
        return self.transform(batch, self.draw(batch, generator))

    def draw(self, batch: Batch, generator: Generator | None = None) -> dict[str, Draws]:
        """All random numbers of all transforms, in order."""
        self._check_shapes(batch)
        return {name: _augmentation(module).draw(batch, generator) for name, module in self.transforms.items()}

    def transform(self, batch: Batch, draws: dict[str, Draws]) -> Batch:
        """The deterministic part: every transform with its draws, then the peak limit. Compiles as one graph."""
        with torch.autocast(batch.waveform.device.type, enabled=False):
            batch = batch._replace(waveform=batch.waveform.clone())
            for name, module in self.transforms.items():
                batch = _augmentation(module).change(batch, draws[name])
        if self.peak_limit is None:
            return Batch(*batch)  # a fresh tuple: dynamo cannot rebuild one that was handed on several times
        peak = torch.linalg.vector_norm(batch.waveform, ord=float("inf"), dim=1, keepdim=True)
        return batch._replace(waveform=batch.waveform.mul_(self.peak_limit / peak.clamp(min=self.peak_limit)))

    def split(self) -> tuple["Augment", "Augment"]:
        """Two chains that together do what this one does: first what changes labels, then what only disturbs hearing.

        Run one after the other with the same generator they give the same batch, bit for bit, because the second kind
        comes last in the order of :class:`AugmentSettings`.
        """
        whole = {name: _augmentation(module) for name, module in self.transforms.items()}
        first = {name: module for name, module in whole.items() if module.changes_labels}
        rest = {name: module for name, module in whole.items() if not module.changes_labels}
        return Augment(first, self.grid), Augment(rest, self.grid, self.peak_limit)

    def _check_shapes(self, batch: Batch) -> None:
        samples, frames = batch.waveform.shape[1], batch.target.shape[1]
        if frames != self.grid.num_frames(samples):
            expected = self.grid.num_frames(samples)
            raise ValueError(f"{samples} samples have {expected} frames of {self.grid}, but target has {frames}")


def build_augment(
    settings: AugmentSettings, grid: FrameGrid, space: LabelSpace, *, coverage: float, edge_tolerance_s: float
) -> Augment:
    """The transforms of ``settings`` that are on, for one frame grid and label space.

    ``coverage`` and ``edge_tolerance_s`` are those by which the labels were made (``DataSettings``): the share of a
    call that makes a crop present, and how far from a box's edge frames are unknown.
    """
    noise = space.noise_output
    edges = {"coverage": coverage, "edge_tolerance_s": edge_tolerance_s}
    builders: dict[str, Callable[[Any], Augmentation]] = {
        "speed": lambda config: SpeedAugmentation(config, grid, coverage=coverage, noise_output=noise),
        "stretch": lambda config: TimeStretchAugmentation(config, grid, coverage=coverage, noise_output=noise),
        "cutmix": lambda config: CallCutMixAugmentation(config, grid, **edges, noise_output=noise),
        "shift": lambda config: TimeShiftAugmentation(config, grid, coverage=coverage),
        "mixup": lambda config: MixupAugmentation(config, noise),
        "background": lambda config: BackgroundAugmentation(config, grid, noise),
        "band_stop": lambda config: BandStopAugmentation(config, grid, space),
        "pink_noise": lambda config: ColoredNoiseAugmentation(config, grid),
        "colored_noise": lambda config: ColoredNoiseAugmentation(config, grid),
        "fade": FadeAugmentation,
        "gain": GainAugmentation,
        "polarity": PolarityAugmentation,
    }
    active = {name: builders[name](config) for name, config in settings.transforms.items()}
    return Augment(active, grid, settings.peak_limit)


def _augmentation(module: nn.Module) -> Augmentation:
    assert isinstance(module, Augmentation)
    return module
