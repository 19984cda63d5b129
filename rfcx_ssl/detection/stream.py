"""Listen to one recording of any length: decode, window, score, events; memory does not grow with its length."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rfcx_ssl.audio import audio_info, read_audio, resampled_samples
from rfcx_ssl.decoding.decisions import decisions_in_force
from rfcx_ssl.decoding.decode import RecordingDecoder
from rfcx_ssl.decoding.detections import Detection, to_detections
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import AudioError
from rfcx_ssl.inference.predict import predict_stream
from rfcx_ssl.models.modeling import RainforestSedModel


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
    decoder = RecordingDecoder(decisions_in_force(None, settings, model.space.species_names), settings, grid)
    blocks = Blocks(path, grid.sample_rate_hz, settings.block_s, tick)
    stream = iter(blocks)
    first = next(stream, None)
    if first is None:
        return Heard([], None, 0.0, blocks.problem)
    for piece in predict_stream(model, chain([first], stream), settings, batch_size=settings.batch_size):
        decoder.push(piece.frame.numpy(), piece.clip.numpy())
    heard_s = blocks.num_samples / grid.sample_rate_hz
    events = to_detections(decoder.finish(), name, model.grid, model.space.species, blocks.num_samples)
    return Heard(events, decoder.score.tolist(), heard_s, blocks.problem)


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
