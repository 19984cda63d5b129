"""From opened recordings to results: windows of short recordings share batches, frames become events as they come.

Recordings are heard in groups: a long one alone, short ones together until their windows fill some batches. A group is a
function of the recordings that follow each other and of nothing else, so that results do not depend on who hears them, or on
where a run was stopped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.audio.files import FAR_ABOVE_FULL_SCALE
from rfcx_ssl.decoding.decode import RecordingDecoder
from rfcx_ssl.decoding.detections import to_detections
from rfcx_ssl.decoding.recording_score import HighestFrames, num_frames_of_top
from rfcx_ssl.detection.read import Samples, Stretch
from rfcx_ssl.detection.read_ahead import Opened, open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import Result, unheard
from rfcx_ssl.detection.score_rules import ScoreRules, make_rules
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.inference.batch_size import choose_batch_size
from rfcx_ssl.inference.batches import Batches, OneWindow, ScoreError
from rfcx_ssl.inference.ensemble import Ensemble
from rfcx_ssl.inference.scorer import Scorer, TorchScorer
from rfcx_ssl.inference.signal import SilenceCount
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.species.table import SpeciesTable

SILENT = "has stretches without any signal (silent_s in the table of scores); scores are 0 there"
FAR_TOO_LOUD = f"has samples of more than {FAR_ABOVE_FULL_SCALE:g} times full scale, as if nobody had scaled them; scores mean little"
GROUP_BATCHES = 4  # short recordings are heard together until they fill so many batches
AS_TUNED = DetectSettings()
Place = tuple[int, Recording]  # in the listing


class Heard(NamedTuple):
    """The result of a recording, and where its audio lies; the channel that was heard (None: the average of all)."""

    result: Result
    audio: Path
    channel: int | None = None


class Ear:
    """Models as one, the rules for their scores, and what is kept of every recording beside events.

    Args:
        scorers: the models; windows that are kept are those of the first.
        rules: by default as the models and ``settings`` have it.
        keep: ``frames``, ``windows``, ``embeddings``; ``highest``: frames of the highest ``top_s``, before any rule.
        drawn: the frames are wanted until a picture is drawn.
    """

    def __init__(
        self,
        scorers: tuple[Scorer, ...],
        settings: DetectSettings,
        rules: ScoreRules | None = None,
        *,
        keep: frozenset[str] = frozenset(),
        drawn: bool = False,
    ) -> None:
        self.scorer, self.settings = scorers[0], settings
        self.batch_size = choose_batch_size(scorers[0]) if settings.batch_size == "auto" else settings.batch_size
        self.ensemble = Ensemble([Batches(scorer, self.batch_size) for scorer in scorers], settings)
        self.rules = rules or make_rules(scorers, settings)
        self.journaled = keep
        self.keep = keep | ({"frames"} if drawn else frozenset())

    def hear(self, opened: Iterable[tuple[Place, Opened]]) -> Iterator[list[Heard]]:
        """What was heard in groups of recordings, in order."""
        group: list[_InWork] = []
        windows = 0
        for place, file in opened:
            expected = self._num_windows(file)
            if group and expected >= self.batch_size:  # a long one shares its batches with nobody
                yield self._finish(group)
                group, windows = [], 0
            group.append(self._listen(place, file))
            windows += expected
            if expected >= self.batch_size or windows >= GROUP_BATCHES * self.batch_size:
                yield self._finish(group)
                group, windows = [], 0
        if group:
            yield self._finish(group)

    def without_extras(self, result: Result) -> Result:
        """``result`` with what the journal keeps."""
        wanted = {name for name in result.arrays if name != "frames" or "frames" in self.journaled}
        return replace(result, arrays={name: result.arrays[name] for name in wanted})

    def stretch_of(self, recording: Recording, path: Path | None = None) -> Stretch:
        """The part of a file that is to be listened to; ``path`` is where it lies, if not where it is from."""
        place = recording.path if path is None else str(path)
        return Stretch(place, recording.start_s, recording.end_s, self.ensemble.rates_hz, self.settings.block_s)

    def _listen(self, place: Place, file: Opened) -> "_InWork":
        work = _InWork(place, file, self)
        for block in file.blocks():
            work.push(block)
        work.end()
        return work

    def _finish(self, group: list["_InWork"]) -> list[Heard]:
        self.ensemble.flush()
        return [Heard(work.result(), Path(work.file.stretch.path), work.file.header.channel) for work in group]

    def _num_windows(self, file: Opened) -> int:
        """Windows of the first model by the file's header; 1 at least, so that a group of unreadable files ends, too."""
        if not file.header.num_samples:
            return 1
        rate = self.scorer.grid.sample_rate_hz
        num_samples = dict(zip(file.stretch.rates_hz, file.header.num_samples, strict=True))[rate]
        return self.scorer.windows.num_windows(num_samples, self.scorer.grid)


class _InWork:
    """One recording that is being heard."""

    def __init__(self, place: Place, file: Opened, ear: Ear) -> None:
        (self._index, self._recording), self.file, self._ear = place, file, ear
        self._rate = ear.ensemble.grid.sample_rate_hz
        watch = self._watch if ear.keep & {"windows", "embeddings"} else lambda *_: None
        self._stream = ear.ensemble.open(watch, self._recording.path)
        self._maps = ear.rules.of(self._recording.name, self._recording.path, file.header.recorded_at)
        self._decoder = RecordingDecoder(ear.rules.decisions, ear.settings, ear.ensemble.grid, self._maps.scores)
        self._num_samples = 0  # at the rate of the frames
        self._silence = SilenceCount(ear.ensemble.grid.hop_samples)
        self._peak = 0.0
        self._frames: list[NDArray[np.float16]] = []
        self._windows: list[tuple[int, OneWindow]] = []
        self._highest = HighestFrames(num_frames_of_top(ear.settings.top_s, ear.ensemble.grid))
        self._no_scores: str | None = None  # why the models have nothing to say of it

    def push(self, block: Samples) -> None:
        samples = torch.from_numpy(block[self._rate])
        self._num_samples += len(samples)
        self._silence.push(samples)
        self._peak = max(self._peak, float(samples.abs().max())) if len(samples) else self._peak
        self._stream.push({rate: torch.from_numpy(samples) for rate, samples in block.items()})
        self._take()

    def end(self) -> None:
        if self._num_samples:
            self._stream.end()

    def result(self) -> Result:
        """What came of it, once its windows were scored."""
        self._take()
        ear, header, recording = self._ear, self.file.header, self._recording
        grid, species = ear.ensemble.grid, ear.ensemble.species
        if self._no_scores is not None:
            return unheard(self._index, recording, self._no_scores)
        found = self._decoder.finish()
        silent_s = self._silence.finish() / grid.sample_rate_hz
        problem = self.file.problem
        return Result(
            index=self._index,
            recording=recording.name,
            path=recording.path,
            start_s=recording.start_s,
            heard_s=self._num_samples / grid.sample_rate_hz,
            sample_rate_hz=header.sample_rate_hz,
            recorded_at=header.recorded_at,
            problem=None if problem is None else problem.replace(self.file.stretch.path, recording.path),
            silent_s=silent_s,
            warnings=tuple(self._warnings(silent_s)),
            clip=self._decoder.score if self._num_samples else None,
            events=to_detections(found, recording.name, grid, species, self._num_samples, offset_s=recording.start_s),
            unreachable=header.unreachable,
            arrays=self._arrays() if self._num_samples else {},
        )

    def _warnings(self, silent_s: float) -> Iterator[str]:
        header, ensemble = self.file.header, self._ear.ensemble
        yield from (*self._maps.warnings, *header.warnings)
        if warning := rate_warning(header.sample_rate_hz, ensemble.grid.sample_rate_hz, ensemble.species):
            yield warning
        if silent_s:
            yield SILENT
        if self._peak > FAR_ABOVE_FULL_SCALE:
            yield FAR_TOO_LOUD

    def _watch(self, start: int, window: OneWindow) -> None:
        self._windows.append((start, window))

    def _take(self) -> None:
        if self._no_scores is not None:
            return
        try:
            piece = self._stream.ready()
        except ScoreError as error:
            self._no_scores = str(error)
            return
        if piece is None:
            return
        if "highest" in self._ear.keep:
            self._highest.push(piece.frame.numpy())
        frame = self._decoder.push(piece.frame.numpy(), piece.clip.numpy())
        if "frames" in self._ear.keep:
            self._frames.append(frame.astype(np.float16))

    def _arrays(self) -> dict[str, NDArray[np.generic]]:
        arrays: dict[str, NDArray[np.generic]] = {}
        if "frames" in self._ear.keep:
            arrays["frames"] = np.concatenate(self._frames)
        if "highest" in self._ear.keep:
            arrays["highest"] = self._highest.values
        if not self._windows:  # nobody asked for them, or none holds a signal
            return arrays
        starts = np.array([start for start, _ in self._windows]) * self._ear.scorer.grid.frame_s
        arrays["windows_s"] = starts + self._recording.start_s
        if "windows" in self._ear.keep:
            scores = torch.stack([window.clip for _, window in self._windows]).numpy()
            arrays["window_scores"] = self._maps.scores(scores)
        if "embeddings" in self._ear.keep:
            arrays["embeddings"] = torch.stack([window.embedding for _, window in self._windows]).numpy()
        return arrays


def listen(model: RainforestSedModel, path: str | Path, settings: DetectSettings = AS_TUNED) -> Result:
    """What ``rfcx-ssl detect`` finds in one file, for use from Python.

    A damaged file is no exception: the events before the damage are kept, and ``problem`` says what is wrong.
    """
    ear = Ear((TorchScorer(model, str(model.name_or_path), settings),), settings)
    recording = Recording(Path(path).stem, str(path))
    with open_readers(0) as readers:
        ((heard,),) = ear.hear(readers.open_all([((0, recording), ear.stretch_of(recording))]))
    return heard.result


def rate_warning(source_hz: int, model_hz: int, species: SpeciesTable) -> str | None:
    """What a recording with a lower rate than the model's cannot show; None where it is high enough, or unknown."""
    if not 0 < source_hz < model_hz:
        return None
    nyquist_hz = source_hz / 2
    bands = [(name, species.band_hz(column)) for column, name in enumerate(species.names)]
    deaf = [name for name, band in bands if band is not None and band[1] > nyquist_hz]
    text = f"recorded at {source_hz} Hz, the model expects {model_hz}: resampled, but silent above {nyquist_hz / 1000:g} kHz"
    return text + (f"; calls partly or wholly lost: {', '.join(deaf)}" if deaf else "")
