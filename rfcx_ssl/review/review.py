"""From a folder of detections to a folder of questions."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

import rfcx_ssl
from rfcx_ssl.annotations import LabelMap, default_label_map, read_extra
from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.recordings import Recording, is_url
from rfcx_ssl.detection.score_rules import decisions_of
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.sources import PIPE, find_recordings
from rfcx_ssl.detection.writers import check_label_texts
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.progress import counting, say
from rfcx_ssl.review.choose import Asked, Question, choose
from rfcx_ssl.review.grammar import check_names
from rfcx_ssl.review.hear import Pool, embed, hear_pool
from rfcx_ssl.review.places import find_places
from rfcx_ssl.review.plan import make_plan, read_plan
from rfcx_ssl.review.settings import ReviewSettings
from rfcx_ssl.review.write import write_review
from rfcx_ssl.settings import from_plain


@dataclass(frozen=True)
class ReviewRequest:
    """What to review and where to write; ``answered`` are folders of earlier rounds, or label tables."""

    detections: Path
    out: Path
    answered: Sequence[Path] = ()
    audio: Sequence[Path] = ()  # where the recordings are now; by default where they were
    sites: Path | None = None
    device: str = "auto"


@dataclass(frozen=True)
class Detections:
    """What ``detect.json`` says of how the detections were made."""

    model: str  # the first of an ensemble
    sources: tuple[str, ...]
    settings: DetectSettings


def review(request: ReviewRequest, settings: ReviewSettings, console: Console) -> list[Question]:
    """Hear the recordings of a detection again, choose the questions, write ``request.out``.

    Raises:
        ConfigError: the folder to write exists. AnnotationError: an earlier round cannot be read.
        RfcxError: the model or the recordings are gone.
    """
    if request.out.exists():
        raise ConfigError(f"--out {request.out} exists, and may hold answers; choose a new folder")
    made = read_detections_record(request.detections)
    model = load_model(made.model, request.device)
    check_label_texts(model.space.species_names)
    check_names(model.space.species_names)
    asked = [item for path in request.answered for item in read_asked(path, default_label_map(model.space.species))]
    pool = _hear(model, _recordings(request, made, settings), made.settings, settings.stretch_s, console)
    decisions = decisions_of([TorchScorer(model, made.model)], made.settings)
    pool = replace(pool, stretches=pool.stretches._replace(score=decisions.calibration(pool.stretches.score)))
    threshold = decisions.threshold if settings.threshold is None else settings.threshold
    places = find_places(pool.recordings, request.sites)
    questions = choose(pool, settings, threshold=threshold, places=places, embed=partial(embed, model), asked=asked)
    if not questions:
        raise ConfigError("nothing is left to ask: all stretches of these recordings are answered")
    items, rate_hz = make_plan(questions, pool, model.space.species, settings.context_s)
    write_review(items, rate_hz, request.out, model.space.species, _record(made, settings, threshold))
    counts = Counter(question.why for question in questions)
    text = f"{len(items)} questions ({', '.join(f'{why} {n}' for why, n in counts.items())})"
    few = f"; no more are left of the {settings.budget} asked for" if len(items) < settings.budget else ""
    say(console, f"{text}{few}: {request.out / 'README.txt'} says what to do")
    return questions


def read_detections_record(folder: Path) -> Detections:
    """What a folder of ``rfcx-ssl detect`` says of its model, sources and settings.

    Raises:
        AnnotationError: there is no such record, or it is of a version that did not keep its sources.
    """
    path = folder / "detect.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(f"{path}: cannot be read; is {folder} what rfcx-ssl detect wrote? ({error})") from None
    sources = tuple(record.get("sources", ()))
    return Detections(record["models"][0], sources, from_plain(DetectSettings, record["settings"], str(path)))


def read_asked(path: Path, names: LabelMap) -> list[Asked]:
    """What an earlier round (its folder), or a label table, already answers.

    Raises:
        AnnotationError: it is neither, or a row is wrong.
    """
    if path.is_dir():
        items = read_plan(path)
        return [Asked(i.recording, (names[i.species] or (-1,))[0], i.start_s, i.end_s) for i in items]
    found = read_extra(path, names)
    return [
        Asked(name, event.species_id, event.start_s, event.end_s)
        for name in found.recording_ids
        for event in found.events(name)
    ]


def _recordings(request: ReviewRequest, made: Detections, settings: ReviewSettings) -> list[Recording]:
    """The recordings of the detection, or a random part of them."""
    sources = tuple(map(str, request.audio)) or made.sources
    if not sources:
        raise ConfigError(
            f"{request.detections / 'detect.json'} names no sources: say where the audio is with --audio"
        )
    away = [source for source in sources if source == PIPE or is_url(source)]
    if away:
        raise ConfigError(f"{away[0]}: is not on this machine; copy the recordings and say where with --audio")
    recordings = find_recordings(sources)
    if settings.recordings is None or settings.recordings >= len(recordings):
        return recordings
    chosen = np.random.default_rng(settings.seed).permutation(len(recordings))[: settings.recordings]
    return [recordings[number] for number in sorted(chosen.tolist())]


def _hear(
    model: RainforestSedModel,
    recordings: Sequence[Recording],
    windows: WindowSettings,
    stretch_s: float,
    console: Console,
) -> Pool:
    with counting(console, "listening", len(recordings)) as advance:
        return hear_pool(model, recordings, windows, stretch_s, lambda: advance(1))


def _record(made: Detections, settings: ReviewSettings, threshold: float | NDArray[np.float64]) -> dict[str, Any]:
    values = np.unique(threshold).tolist()
    return {
        "rfcx_ssl": rfcx_ssl.__version__,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": made.model,
        "threshold": values[0] if len(values) == 1 else np.asarray(threshold).tolist(),  # one, or one per species
        "settings": settings_dict(settings),
    }
