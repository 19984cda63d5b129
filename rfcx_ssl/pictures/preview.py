"""Hear and see what augmentations do: each transform alone, then the whole chain, on crops as training draws them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from rfcx_ssl.augment.chain import AugmentSettings, build_augment
from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.labels import Batch, collate
from rfcx_ssl.pictures.crop import crop_title
from rfcx_ssl.pictures.pairs import draw_pairs


def write_preview(out: Path, dataset: CropDataset, count: int, config: AugmentSettings, seed: int) -> list[str]:
    """Write a picture per transform, ``chain.png``, and a folder of float WAV files per crop, into the new folder ``out``.

    The crops are the first ``count`` of the data set's current epoch, with the labels that training sees. Every
    transform that is on is shown alone on all crops, then the chain as configured.

    Returns:
        Names of what was shown, in order.

    Raises:
        ConfigError: ``out`` exists, or no transform is on.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; choose another folder")
    active = config.transforms
    if not active:
        raise ConfigError("no transform is on: give one a probability, such as pink_noise.p=1")
    grid, space = dataset.grid, dataset.corpus.space
    before = collate([dataset[index] for index in range(count)])
    titles = [crop_title(dataset, index) for index in range(count)]
    out.mkdir(parents=True)
    _write_waves(out, "before", before, grid.sample_rate_hz)
    for name in [*active, "chain"]:
        chosen = config if name == "chain" else _alone(config, name)
        rules = {"coverage": dataset.settings.coverage, "edge_tolerance_s": dataset.settings.edge_tolerance_s}
        augment = build_augment(chosen, grid, space, **rules)
        after = augment(before, torch.Generator().manual_seed(seed))
        _write_waves(out, name, after, grid.sample_rate_hz)
        draw_pairs(out / f"{name}.png", name, titles, before, after, grid, space)
    return [*active, "chain"]


def _alone(config: AugmentSettings, name: str) -> AugmentSettings:
    """Settings with one transform only, on every crop."""
    chosen: dict[str, Any] = dict.fromkeys(config.transforms)  # None: off
    chosen[name] = replace(config.transforms[name], p=1.0)
    return replace(config, **chosen)


def _write_waves(out: Path, name: str, batch: Batch, sample_rate_hz: int) -> None:
    for number, waveform in enumerate(batch.waveform.numpy()):
        folder = out / f"crop{number}"
        folder.mkdir(exist_ok=True)
        write_float_wav(folder / f"{name}.wav", waveform, sample_rate_hz)


def write_float_wav(path: Path, waveform: NDArray[np.float32], sample_rate_hz: int) -> None:
    """Write (N,) as 32-bit float WAV, so that nothing beyond [-1, 1] is clipped."""
    with atomic_path(path) as temporary:
        soundfile.write(temporary, waveform, sample_rate_hz, format="WAV", subtype="FLOAT")
