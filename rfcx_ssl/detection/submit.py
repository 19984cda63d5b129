"""A submission: hear what a competition asks about, score every recording by the rules in force, write the table.

What is heard is kept without any rule: the clip head's word, and the highest frames of each species. All rules (calibration,
prevalence, lists of species, which score a recording gets) keep the order of a species' frames, so that they come
after, and another rule hears nothing again. Each set of models and settings of hearing has a folder of its own.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import rfcx_ssl
from rfcx_ssl.config import settings_dict
from rfcx_ssl.decoding.recording_score import score_of_highest
from rfcx_ssl.detection.assemble import Tables, Tally
from rfcx_ssl.detection.detect import heard
from rfcx_ssl.detection.plan import wanted_plan
from rfcx_ssl.detection.prepare import evenly
from rfcx_ssl.detection.ranks import scores_by_rank
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.request import DetectRequest
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.score_rules import ScoreRules, check_prior, learn_prior, make_rules, plain_prior
from rfcx_ssl.detection.settings import DetectSettings, HearingSettings
from rfcx_ssl.detection.submission import audio_of, read_sample
from rfcx_ssl.detection.work import Job, open_models
from rfcx_ssl.errors import AudioError, ConfigError, some_of
from rfcx_ssl.files import write_text
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.inference.settings import EnsembleSettings, WindowSettings
from rfcx_ssl.progress import say
from rfcx_ssl.species.prevalence import NONE

FloatArray = NDArray[np.float64]
HIGHEST = "highest"
HIGHEST_S = 3.0  # so many seconds of highest frames are kept; a longer top_s is heard for itself
SHOWN = 5


@dataclass(frozen=True)
class SubmitRequest:
    """What to hear with which models, and how their scores become a submission."""

    data: Path
    out: Path
    work: Path  # the folder of what was heard
    models: tuple[str, ...]
    settings: DetectSettings
    by_rank: bool = False  # models are combined by the order in which each puts the recordings
    fill: float | None = None  # written for a recording that cannot be heard; None: that is an error
    places: Path | None = None  # a table of where and when recordings were made
    device: str = "auto"
    readers: int = 1
    threads: int | None = None
    workers: int = 1
    dask: str | None = None
    redo: bool = False


def submit(request: SubmitRequest, console: Console) -> dict[str, Any]:
    """Hear what was not heard yet and write the submission; returns submission.json.

    Raises:
        AudioError: a recording has no audio that can be heard, and there is no ``fill``.
        ConfigError: the columns of the sample, or the settings, do not fit the models.
        RfcxError: a model cannot be used, or the sample breaks a rule.
    """
    return _Submission(request, console).make()


class _Submission:
    """One run of the command."""

    def __init__(self, request: SubmitRequest, console: Console) -> None:
        self.request, self.console = request, console
        self.sample = read_sample(request.data)
        if request.out.resolve() == self.sample.path.resolve():
            raise ConfigError(f"--out {request.out}: is the sample itself")
        weights, num_models = request.settings.weights, len(request.models)
        if weights is not None and len(weights) != num_models:
            raise ConfigError(f"weights={list(weights)}: need one for each of {num_models} models")
        self.paths = audio_of(self.sample, request.data)
        self.places = {  # in the sample, by the path that results have
            os.path.normpath(self.paths[name].absolute()): place
            for place, name in enumerate(self.sample.ids)
            if name in self.paths
        }
        self.tally = Tally()

    def make(self) -> dict[str, Any]:
        """From the sample to the submission, and what is to be known of it."""
        request, ids = self.request, self.sample.ids
        self._refuse([name for name in ids if name not in self.paths], f"no such audio below {request.data}")
        if not self.paths:
            raise AudioError(f"{self.sample.path}: none of its {len(ids)} recordings is below {request.data}")
        jobs = [self._job((model,)) for model in request.models] if request.by_rank else [self._job(request.models)]
        for job in jobs:
            self._check(open_models(job))
        scores = self._combined([self._scores(job) for job in jobs])
        silent = np.isnan(scores).any(axis=1)
        unheard = [ids[place] for place in np.flatnonzero(silent)]
        problems = "; ".join(self.tally.problems) or "others that hear here began without them; start again"
        self._refuse([name for name in unheard if name in self.paths], problems)
        means = scores[~silent].mean(axis=0) if not silent.all() else np.zeros(len(self.sample.columns))
        if request.fill is not None:
            scores[silent] = request.fill
        self.sample.write(request.out, scores)
        record = self._record([job.out for job in jobs], unheard)
        self._tell(means, unheard)
        return record

    def _refuse(self, names: Sequence[str], why: str) -> None:
        """Refuse to go on without some recordings, unless it is known what to write for them."""
        if names and self.request.fill is None:
            raise AudioError(
                f"{self.sample.path}: {len(names)} of {len(self.sample.ids)} recordings cannot be heard: "
                f"{some_of(names, SHOWN)} ({why}); --fill VALUE writes a value for them"
            )

    def _check(self, scorers: Sequence[Scorer]) -> None:
        """Refuse, before anything is heard, what would fail after all was."""
        settings, species = self.request.settings, scorers[0].species
        self.sample.species_of(species, scorers[0].name)
        make_rules(scorers, settings)
        if settings.prevalence != NONE:
            check_prior(scorers, settings)
            learn_prior(scorers, settings, np.full((1, len(species)), 0.5, np.float32))

    # ---- scores (R, S) as the sample has recordings and columns; NaN for a recording that was not heard

    def _combined(self, of_each: Sequence[FloatArray]) -> FloatArray:
        settings = self.request.settings
        if not self.request.by_rank:
            return of_each[0]
        return scores_by_rank(np.stack(of_each), settings.weights, keep_means=settings.prevalence != NONE)

    def _scores(self, job: Job) -> FloatArray:
        """Hear with the models of a job as one, and score by the rules in force."""
        settings = self.request.settings
        scorers = open_models(job)
        columns = self.sample.species_of(scorers[0].species, scorers[0].name)
        found = np.full((len(self.sample.ids), len(columns)), np.nan)
        self.tally = Tally()
        with ExitStack() as stack:
            read = stack.enter_context(heard(self._detection(job), self.console))
            places = self.request.places
            table = None if places is None else stack.enter_context(open_recording_table(places))
            rules = make_rules(scorers, settings, self._prior(scorers, read()), table)
            for result in read():
                if result.path in self.places:
                    found[self.places[result.path]] = self._score(result, rules, scorers[0].grid)[columns]
        return found

    def _job(self, models: tuple[str, ...]) -> Job:
        request = self.request
        settings, keep = hearing(request.settings, len(models)), frozenset((HIGHEST,))
        plan = wanted_plan([model_folder(model) for model in models], settings, keep)
        name = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:12]
        out = request.work.resolve() / name
        return Job(out, models, settings, keep, request.device, request.readers, request.threads)

    def _detection(self, job: Job) -> DetectRequest:
        request = self.request
        return DetectRequest(
            job=job,
            sources=[str(path) for path in self.paths.values()],
            tables=Tables(formats=(), places=request.places),
            workers=request.workers,
            dask=request.dask,
            redo=request.redo,
        )

    def _prior(self, scorers: Sequence[Scorer], results: Iterable[Result]) -> list[float] | None:
        """What the prevalence adds to the log odds, learned from as many recordings as detect learns it from."""
        settings = self.request.settings
        if settings.prevalence == NONE:
            return None
        clips = {self.places[result.path]: result.clip for result in results if result.path in self.places}
        order = sorted(clips)
        chosen = [clips[order[number]] for number in evenly(settings.prevalence_recordings, len(order))]
        known = [clip for clip in chosen if clip is not None]
        if not known:
            raise AudioError(f"prevalence={settings.prevalence}: none of {len(chosen)} recordings can be heard")
        return plain_prior(learn_prior(scorers, settings, np.stack(known)))

    def _score(self, result: Result, rules: ScoreRules, grid: FrameGrid) -> NDArray[np.float32]:
        """The recording's score (S,) by the rules; NaN where nothing was heard."""
        settings = self.request.settings
        maps = rules.of(result.recording, result.path, result.recorded_at)
        self.tally.add(replace(result, warnings=(*result.warnings, *maps.warnings)))
        if result.clip is None:
            return np.full(len(maps.scores.slope), np.nan, np.float32)
        if settings.recording_score == "clip":
            return maps.scores(result.clip)
        return score_of_highest(maps.scores(result.arrays[HIGHEST]), settings, grid)

    # ---- what is said

    def _record(self, heard_in: Sequence[Path], unheard: Sequence[str]) -> dict[str, Any]:
        request = self.request
        record = {
            "rfcx_ssl": rfcx_ssl.__version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "out": str(request.out.absolute()),
            "models": request.models,
            "heard": [folder.name for folder in heard_in],
            "combine_ranks": request.by_rank,
            "settings": settings_dict(request.settings),
            "fill": request.fill,
            "filled": unheard,
        }
        write_text(request.work / "submission.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        return record

    def _tell(self, means: FloatArray, unheard: Sequence[str]) -> None:
        columns = self.sample.columns
        for warning in self.tally.warning_lines()[:SHOWN]:
            self._say(f"warning: {warning}")
        if damaged := self.tally.unreadable - sum(name in self.paths for name in unheard):
            self._say(f"warning: {damaged} recordings were heard only in part: {'; '.join(self.tally.problems)}")
        if unheard:
            self._say(
                f"warning: {len(unheard)} of {len(self.sample.ids)} rows could not be heard and are filled with "
                f"{self.request.fill:g}: {some_of(unheard, SHOWN)}"
            )
        low, high = int(means.argmin()), int(means.argmax())
        self._say(
            f"{len(self.sample.ids)} rows, {len(columns)} columns, {len(unheard)} rows filled; mean score of a species from "
            f"{means[low]:.4f} ({columns[low]}) to {means[high]:.4f} ({columns[high]}): {self.request.out}"
        )

    def _say(self, text: str) -> None:
        say(self.console, text)


def hearing(settings: DetectSettings, num_models: int) -> DetectSettings:
    """The settings of hearing alone; rules have the values under which they change nothing."""
    kinds = (WindowSettings, HearingSettings, EnsembleSettings)
    kept = {field.name: getattr(settings, field.name) for kind in kinds for field in fields(kind)}
    if num_models == 1:
        kept["weights"] = None
    asked_s = settings.top_s if settings.recording_score == "top" else 0.0
    return DetectSettings(**kept, tuned=False, threshold=1.0, top_s=max(HIGHEST_S, asked_s))
