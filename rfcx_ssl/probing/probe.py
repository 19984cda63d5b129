"""The probe from end to end: hear, train heads, judge, write."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from rfcx_ssl.data import Corpus, DataSettings, load_corpus
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics.bootstrap import Interval
from rfcx_ssl.probing.features import Features, Frames, load_or_hear
from rfcx_ssl.probing.health import codebook_use
from rfcx_ssl.probing.judge import SEEDS, Judge
from rfcx_ssl.probing.listeners import EncoderListener, Listener, MelListener, Opened, check_there, open_encoder
from rfcx_ssl.probing.report import print_sections, write_sections
from rfcx_ssl.probing.scores import difference, verdict
from rfcx_ssl.probing.settings import Measured, ProbeRequest, Role, Section, Verdict
from rfcx_ssl.progress import Progress, progress_bar, say

CODE_WINDOWS = 64  # heard for the use of codes
DECIDED = {  # data settings that are not the user's here, and by whom they are
    "root": "--data",
    "sample_rate_hz": "the encoder",
    "labels_per_species": "--labels-per-species",
    "label_fraction": "--labels-per-species",
}


def probe(request: ProbeRequest, console: Console) -> list[Section]:
    """Judge every encoder, print the tables, write probe.json, table.csv, report.html and its pictures.

    Raises:
        RfcxError: an encoder or the data cannot be used, or nothing can be judged.
    """
    for source in request.encoders:
        check_there(source)
    data_settings(
        request, sample_rate_hz=16_000
    )  # wrong words are said before any encoder is read; it decides the rate
    probing = Probing(request)
    with progress_bar() as progress:
        for source in request.encoders:
            probing.add(source, progress)
    sections = probing.sections()
    print_sections(request, sections, console)
    write_sections(request, sections)
    say(console, f"wrote {request.out / 'report.html'}, probe.json and table.csv")
    return sections


def data_settings(request: ProbeRequest, sample_rate_hz: int) -> DataSettings:
    """The data set as fine-tuning reads it, with the request's ``data=NAME`` and ``data.key=value``."""
    config, values = "rfcx", ["cache=false"]  # features are cached, so that audio is read once
    for word in request.overrides:
        key, equals, value = word.partition("=")
        if key == "data" and value:
            config = value
            continue
        name = key.removeprefix("data.")
        if not equals or name == key:
            raise ConfigError(f"{word!r}: need data=NAME or data.key=value")
        if name in DECIDED:
            raise ConfigError(f"{word}: {DECIDED[name]} decides that")
        values.append(f"{name}={value}")
    return load_data_settings(request.data, config, [*values, f"sample_rate_hz={sample_rate_hz}"])


class _Place:
    """What is judged on one grid, as it comes together."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.verdicts: list[Verdict] = []
        self.controls: dict[str, Measured] = {}  # by architecture, and "log-mel"


class Probing:
    """Encoders one after the other; those of one grid share recordings, those of one architecture their controls."""

    def __init__(self, request: ProbeRequest) -> None:
        self.request = request
        self._corpora: dict[int, Corpus] = {}
        self._places: dict[FrameGrid, _Place] = {}

    def sections(self) -> list[Section]:
        """All results so far."""
        return [
            Section(place.judge.bench, tuple(place.verdicts), tuple(place.controls.values()))
            for place in self._places.values()
        ]

    def add(self, source: str, progress: Progress) -> None:
        """Judge one more encoder beside its controls."""
        opened = open_encoder(source)
        name, listener = self._free_name(opened, source), opened.listener
        place = self._place(FrameGrid(listener.sample_rate_hz, listener.hop_samples))
        judge = place.judge
        heard = self._hear(listener, judge, name, progress)
        codebook = codebook_use(listener.to(self.request.device), islice(_waveforms(judge), CODE_WINDOWS))
        measured, fitted = judge.measure(name, "encoder", [heard] * len(SEEDS), partial(progress, f"heads {name}"))
        random = self._random(place, listener, name, progress)
        mel = self._mel(place, progress)
        over_random, over_mel = (self._gap(judge, measured, other) for other in (random, mel))
        sentence = verdict(over_random, over_mel, random.score.ap_per_seed)
        points, controls = judge.points(fitted, heard), (random.name, mel.name)
        place.verdicts.append(
            Verdict(measured, source, opened.num_updates, over_random, over_mel, sentence, codebook, points, controls)
        )

    def _random(self, place: _Place, listener: EncoderListener, name: str, progress: Progress) -> Measured:
        """The same architecture with random weights, a new draw for every seed."""
        key = listener.architecture
        if key not in place.controls:
            called = "random weights" + (f" like {name}" if len(self.request.encoders) > 1 else "")
            drawn = (listener.with_random_weights(seed) for seed in SEEDS)
            heard = [
                self._hear(one, place.judge, f"{called} {seed}", progress)
                for seed, one in zip(SEEDS, drawn, strict=True)
            ]
            place.controls[key] = self._measure(place.judge, called, "random weights", heard, progress)
        return place.controls[key]

    def _mel(self, place: _Place, progress: Progress) -> Measured:
        if "log-mel" not in place.controls:
            grid = place.judge.frames.grid
            listener = MelListener(grid.sample_rate_hz, grid.hop_samples)
            heard = [self._hear(listener, place.judge, "log-mel", progress)] * len(SEEDS)
            place.controls["log-mel"] = self._measure(place.judge, "log-mel frames", "log-mel", heard, progress)
        return place.controls["log-mel"]

    def _measure(self, judge: Judge, name: str, role: Role, heard: Sequence[Features], progress: Progress) -> Measured:
        return judge.measure(name, role, heard, partial(progress, f"heads {name}"))[0]

    def _hear(self, listener: Listener, judge: Judge, name: str, progress: Progress) -> Features:
        tick: Callable[[int, int], None] = partial(progress, f"hearing with {name}")
        folder = self.request.out / "features"
        return load_or_hear(folder, listener, judge.corpus, judge.frames, device=self.request.device, tick=tick)

    def _gap(self, judge: Judge, ours: Measured, theirs: Measured) -> Interval:
        return difference(judge.held, ours.logits, theirs.logits, rng=np.random.default_rng(0))

    def _place(self, grid: FrameGrid) -> _Place:
        if grid not in self._places:
            rate = grid.sample_rate_hz
            if rate not in self._corpora:
                self._corpora[rate] = load_corpus(data_settings(self.request, rate))
            self._places[grid] = _Place(Judge(self._corpora[rate], grid, self.request.labels_per_species))
        return self._places[grid]

    def _free_name(self, opened: Opened, source: str) -> str:
        taken = {verdict.encoder.name for place in self._places.values() for verdict in place.verdicts}
        return source if opened.name in taken else opened.name


def _waveforms(judge: Judge) -> Iterator[NDArray[np.float32]]:
    """The first stretch of each held-out recording."""
    frames: Frames = judge.frames
    hop = frames.grid.hop_samples
    for number in np.unique(frames.recording[judge.held_rows]):
        name = frames.recording_ids[number]
        window = frames.windows(name)[0]
        stop = min(window.stop, frames.grid.num_frames(judge.corpus.recording_of[name].num_samples))
        yield judge.corpus.read(name, window.start * hop, (stop - window.start) * hop)
