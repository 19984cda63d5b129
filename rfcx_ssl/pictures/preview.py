"""Hear and see what augmentations do: each transform alone, then the whole chain, on labelled crops."""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations, Event, read_annotations
from rfcx_ssl.audio import audio_info, read_audio
from rfcx_ssl.augment.chain import TRANSFORMS, AugmentSettings, build_augment
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch, Crop, collate
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.pictures.pairs import draw_pairs
from rfcx_ssl.species import LabelSpace


class Example(NamedTuple):
    """A crop of a recording around one of its labelled calls."""

    recording_id: str
    start_s: float
    crop: Crop


def write_preview(
    out: Path, examples: list[Example], config: AugmentSettings, grid: FrameGrid, space: LabelSpace, seed: int
) -> list[str]:
    """Write ``before.png`` to ``chain.png``, and a folder of float WAV files per crop, into the new folder ``out``.

    Every transform with a probability above 0 is shown alone on all crops, then the chain as configured.

    Returns:
        Names of what was shown, in order.

    Raises:
        ConfigError: ``out`` exists, or no transform has a probability above 0.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; choose another folder")
    active = [name for name in TRANSFORMS if getattr(config, name).p > 0]
    if not active:
        raise ConfigError("no transform is on: give one a probability, such as pink_noise.p=1")
    out.mkdir(parents=True)
    before = collate([example.crop for example in examples])
    _write_waves(out, "before", before, grid)
    for name in [*active, "chain"]:
        chosen = config if name == "chain" else _alone(config, name)
        after = build_augment(chosen, grid, space)(before, torch.Generator().manual_seed(seed))
        _write_waves(out, name, after, grid)
        titles = [f"{example.recording_id} at {example.start_s:.1f} s" for example in examples]
        draw_pairs(out / f"{name}.png", name, titles, before, after, grid, space)
    return [*active, "chain"]


def labelled_crops(
    root: Path, grid: FrameGrid, space: LabelSpace, *, count: int, crop_s: float, seed: int
) -> list[Example]:
    """``count`` crops around calls of different species, drawn from a folder in RFCX's layout.

    Raises:
        AnnotationError: the tables are wrong or hold no present row.
        AudioError: a recording cannot be read.
    """
    annotations = read_annotations(root, num_species=space.num_species)
    calls: dict[int, list[tuple[str, Event]]] = {}
    for recording_id in annotations.recording_ids:
        for event in annotations.events(recording_id):
            if event.present:
                calls.setdefault(event.species_id, []).append((recording_id, event))
    if not calls:
        raise AnnotationError(f"{root}/train_tp.csv: holds no call")
    rng = np.random.default_rng(seed)
    order = rng.permutation(sorted(calls))
    examples = []
    for number in range(count):
        of_species = calls[int(order[number % len(order)])]
        recording_id, event = of_species[int(rng.integers(len(of_species)))]
        examples.append(_crop_around(root, annotations, recording_id, event, grid, space, crop_s, number))
    return examples


def _crop_around(
    root: Path,
    annotations: Annotations,
    recording_id: str,
    event: Event,
    grid: FrameGrid,
    space: LabelSpace,
    crop_s: float,
    index: int,
) -> Example:
    path = root / "train" / f"{recording_id}.flac"
    latest_s = max(0.0, audio_info(path).duration_s - crop_s)
    start_s = min(max(0.0, (event.start_s + event.end_s - crop_s) / 2), latest_s)
    start, samples = round(start_s * grid.sample_rate_hz), round(crop_s * grid.sample_rate_hz)
    waveform = read_audio(path, start_samples=start, num_samples=samples, sample_rate_hz=grid.sample_rate_hz)
    events = annotations.events(recording_id)
    complete = annotations.is_complete(recording_id)
    frame = frame_labels(events, grid, space, start_s=start_s, num_frames=grid.num_frames(samples), complete=complete)
    clip = clip_labels(events, space, start_s=start_s, end_s=start_s + crop_s, complete=complete)
    target, known, clip_target, clip_known = (torch.from_numpy(values) for values in (*frame, *clip))
    crop = Crop(torch.from_numpy(waveform), target, known, clip_target, clip_known, torch.tensor(index))
    return Example(recording_id, start_s, crop)


def _alone(config: AugmentSettings, name: str) -> AugmentSettings:
    """Settings with one transform only, on every clip."""
    return AugmentSettings(**{name: replace(getattr(config, name), p=1.0)}, peak_limit=config.peak_limit)


def _write_waves(out: Path, name: str, batch: Batch, grid: FrameGrid) -> None:
    for number, waveform in enumerate(batch.waveform.numpy()):
        folder = out / f"clip{number}"
        folder.mkdir(exist_ok=True)
        write_float_wav(folder / f"{name}.wav", waveform, grid.sample_rate_hz)


def write_float_wav(path: Path, waveform: NDArray[np.float32], sample_rate_hz: int) -> None:
    """Write (N,) as 32-bit float WAV, so that nothing beyond [-1, 1] is clipped."""
    with atomic_path(path) as temporary:
        soundfile.write(temporary, waveform, sample_rate_hz, format="WAV", subtype="FLOAT")
