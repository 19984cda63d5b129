"""Listen to one recording of any length: decode, window, score, events; memory does not grow with its length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.audio import audio_info, read_audio, resampled_samples
from rfcx_ssl.errors import AudioError
from rfcx_ssl.inference.events import EventDecoder, FrameEvent
from rfcx_ssl.inference.settings import DetectSettings
from rfcx_ssl.inference.windows import predict_stream
from rfcx_ssl.models.modeling import RainforestSedModel


class Detection(NamedTuple):
    """One species heard in one recording: a label with a score.

    ``box.species_id`` is the species' column of the model; its band is the one the species is known to call in. Times
    are whole milliseconds, so that every table holds the same ones.
    """

    recording: str
    species: str
    score: float
    box: Event


@dataclass(frozen=True)
class Heard:
    """What came of one recording; ``problem`` is None when all of it was heard."""

    events: list[Detection]
    clip: list[float] | None  # score of every species over the whole recording; None where nothing was heard
    heard_s: float
    problem: str | None


def listen(
    model: RainforestSedModel,
    path: Path,
    name: str,
    settings: DetectSettings,
    tick: Callable[[float], None] = lambda _: None,
) -> Heard:
    """Find the events of one file. ``tick`` is told the seconds read, as they are read.

    A damaged file is no exception: the events before the damage are kept, and ``problem`` says what is wrong.
    """
    grid = model.grid
    decoder = EventDecoder(settings, grid, model.space.num_species)
    found: list[FrameEvent] = []
    blocks = Blocks(path, grid.sample_rate_hz, settings.block_s, tick)
    clip: Tensor | None = None
    stream = iter(blocks)
    first = next(stream, None)
    if first is None:
        return Heard([], None, 0.0, blocks.problem)
    for piece in predict_stream(model, chain([first], stream), settings, batch_size=settings.batch_size):
        found += decoder.push(piece.frame.numpy())
        clip = piece.clip
    found += decoder.finish()
    heard_s = blocks.num_samples / grid.sample_rate_hz
    events = _to_detections(found, name, model, blocks.num_samples)
    return Heard(events, None if clip is None else clip.tolist(), heard_s, blocks.problem)


def rate_warning(source_hz: int, name: str, model: RainforestSedModel) -> str | None:
    """What a recording with a lower rate than the model's cannot show; None where it is high enough."""
    nyquist_hz = source_hz / 2
    if source_hz >= model.config.sample_rate_hz:
        return None
    table = model.space.species
    bands = [(name, table.band_hz(species)) for species, name in enumerate(table.names)]
    deaf = [name for name, band in bands if band is not None and band[1] > nyquist_hz]
    text = (
        f"{name}: recorded at {source_hz} Hz, the model expects {model.config.sample_rate_hz}: resampled, but silent"
    )
    text += f" above {nyquist_hz / 1000:g} kHz"
    return text + (f"; calls partly or wholly lost: {', '.join(deaf)}" if deaf else "")


class Blocks:
    """Blocks (n,) of a file at the model's rate. A decoding error ends them and is kept in ``problem``."""

    def __init__(
        self, path: Path, sample_rate_hz: int, block_s: float, tick: Callable[[float], None] = lambda _: None
    ) -> None:
        self.path, self.rate, self.tick = path, sample_rate_hz, tick
        self.block = round(block_s * sample_rate_hz)
        self.num_samples = 0  # samples handed out
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Tensor]:
        try:
            info = audio_info(self.path, partial=True)
            total = resampled_samples(info.frames, info.sample_rate_hz, self.rate)
            if not total:
                raise AudioError(f"{self.path}: has no samples")
            for start in range(0, total, self.block):
                yield from self._read(start, min(self.block, total - start))
            self.problem = info.problem
        except AudioError as error:
            self.problem = str(error)

    def _read(self, start: int, length: int) -> Iterator[Tensor]:
        """One block; where it cannot be decoded whole, second by second up to the damage."""
        try:
            samples = read_audio(
                self.path, start_samples=start, num_samples=length, sample_rate_hz=self.rate, partial=True
            )
        except AudioError:
            if length <= self.rate:
                raise
            for second in range(start, start + length, self.rate):
                yield from self._read(second, min(self.rate, start + length - second))
            return
        self.num_samples += length
        yield torch.from_numpy(np.ascontiguousarray(samples))
        self.tick(length / self.rate)


def _to_detections(found: list[FrameEvent], name: str, model: RainforestSedModel, num_samples: int) -> list[Detection]:
    """Frames to milliseconds, columns to species; nothing without length, nothing beyond the end of the recording."""
    grid, species = model.grid, model.space.species
    last_ms = num_samples * 1000 // grid.sample_rate_hz
    detections = []
    for event in sorted(found, key=lambda event: (event.start, event.species)):
        start_ms, end_ms = (
            round(frame * grid.hop_samples * 1000 / grid.sample_rate_hz) for frame in (event.start, event.end)
        )
        end_ms = min(end_ms, last_ms)
        if start_ms < end_ms:
            band_hz = species.band_hz(event.species) or UNKNOWN_BAND_HZ
            song = species.first_songtype(event.species)  # several outputs make one species: which it was is not said
            box = Event(event.species, song, start_ms / 1000, end_ms / 1000, *band_hz, True, 1.0)
            detections.append(Detection(name, species.names[event.species], event.peak, box))
    return detections
