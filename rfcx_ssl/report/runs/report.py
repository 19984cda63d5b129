"""The report of runs from end to end: open the truth, hear it, judge, and write one page that needs nothing but a browser."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.evaluate import Evaluation, JudgingOptions, evaluate
from rfcx_ssl.evaluation.known import WARNING, what_is_known, what_it_learned_from
from rfcx_ssl.evaluation.reference import Reference, open_reference
from rfcx_ssl.evaluation.runs import RunFacts, find_model
from rfcx_ssl.evaluation.systems import hear_all
from rfcx_ssl.files import write_text
from rfcx_ssl.progress import progress_bar, say
from rfcx_ssl.report.curves import species_curves
from rfcx_ssl.report.detections import READING as OF_DETECTIONS
from rfcx_ssl.report.detections import Found, load_detections, summary_parts
from rfcx_ssl.report.evaluation_tables import species_rows
from rfcx_ssl.report.markup import Section, contents, paragraph, warning
from rfcx_ssl.report.page import frame_page, made_by
from rfcx_ssl.report.runs.calibration import calibration_parts
from rfcx_ssl.report.runs.comparison import comparison_parts, lead, leading_model
from rfcx_ssl.report.runs.embedding import embedding_parts
from rfcx_ssl.report.runs.hours import hour_parts
from rfcx_ssl.report.runs.labels import reference_of_runs, sample_rows
from rfcx_ssl.report.runs.learning import learning_parts
from rfcx_ssl.report.runs.media import Room, player_of_file
from rfcx_ssl.report.runs.recordings import Stage, recording_parts
from rfcx_ssl.report.runs.species import curve_parts, species_parts
from rfcx_ssl.report.style import SCRIPT

FRAME_BYTES = 60_000  # of a page without sections: styles, notes, how to read it
READING = (
    "LWLRAP: for every species that calls in a recording, the share of true species among those ranked at or above it; the mean "
    "over all of them. mAP: average precision over recordings, mean over species. ROC-AUC: the chance that a recording (or box) "
    "with the species scores above one without. Segment F1: seconds in which a species calls. PSDS: recall of whole calls over "
    "all thresholds up to 100 false detections an hour. docs/metrics.md says more.",
    "Only what somebody said is judged: a cell (a species in a recording) is known where the species was marked, or where "
    "everything was marked and it was not. Scores on known cells depend on who chose the cells: compare models on them, not "
    "with scores on other recordings.",
    "Intervals: {draws} drawn with replacement {resamples} times, the same draws for all models. Lines of more than 300 "
    "points show every second or third one, and so on. Sounds are made about equally loud, and are compressed.",
)


@dataclass(frozen=True)
class ReportRequest:
    """What to report; ``models`` maps names to run folders, model directories or models on the hub."""

    models: Mapping[str, str]
    out: Path
    options: JudgingOptions
    labels: Path | None = None  # None: what the runs' own data set keeps for judging
    config: str | None = None
    overrides: Sequence[str] = ()
    fold: int | None = None
    detections: Path | None = None  # a folder of ``rfcx-ssl detect``
    most_recordings: int = 500  # that are heard
    pictures: int = 3  # best and worst recordings, of each
    audio: bool = True
    most_mb: float = 25.0  # of the page
    device: str = "auto"
    command: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no runs to report: give at least one run folder or model directory")
        if self.labels is None and (self.config is not None or self.fold is not None or self.overrides):
            raise ConfigError("--config, --fold and key=value say how to read --labels ROOT: give it, too")
        if self.most_mb <= 0:
            raise ConfigError(f"--max-mb {self.most_mb:g}: must be above 0")


def write_report(request: ReportRequest, console: Console) -> Evaluation:
    """Hear, judge and write the page.

    Raises:
        RfcxError: a model, the labels, the detections or a setting cannot be used, or nothing can be judged.
    """
    facts = {name: find_model(source) for name, source in request.models.items()}
    found = None if request.detections is None else load_detections(request.detections)
    everything = _reference(request, facts)
    rows = sample_rows(everything, request.most_recordings, request.options.seed)
    reference = everything if len(rows) == len(everything.paths) else everything.part(rows)
    notes = [*what_is_known(reference), *(what_it_learned_from(name, run, reference) for name, run in facts.items())]
    if reference is not everything:
        notes.insert(
            0,
            f"{len(rows):,} of {len(everything.paths):,} recordings, drawn at random, are heard and judged here (--recordings).",
        )
    for note in notes:
        say(console, note)
    evaluation = evaluate(reference, hear_all(facts, reference, request.device, console), request.options)
    sections = list(_sections(request, facts, everything, evaluation))
    room = Room(round(request.most_mb * 1e6) - sum(len(one.to_html().encode()) for one in sections) - FRAME_BYTES)
    sections += _media(request, evaluation, found, room)
    if room.left_out:
        notes.append(
            f"{room.left_out} pictures or players are left out, for the page would exceed --max-mb {request.most_mb:g}."
        )
    page = _page(request, evaluation, [*notes, *evaluation.notes], sections)
    request.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(request.out, page)
    size = f"{len(page.encode()) / 1e6:.1f} MB"
    say(console, f"wrote {request.out} ({size})")
    return evaluation


def _reference(request: ReportRequest, facts: Mapping[str, RunFacts]) -> Reference:
    if request.labels is None:
        return reference_of_runs(facts)
    return open_reference(request.labels, request.config, request.overrides, request.fold)


def _sections(
    request: ReportRequest, facts: Mapping[str, RunFacts], everything: Reference, evaluation: Evaluation
) -> Iterator[Section]:
    """What has a size that the number of species bounds."""
    names, rows = evaluation.reference.space.species_names, species_rows(evaluation)
    threshold, models = evaluation.options.plain_threshold, list(evaluation.judged)
    yield Section("Comparison", list(comparison_parts(evaluation)))
    yield Section("Learning curves", list(learning_parts(facts)))
    yield Section("Species", list(species_parts(evaluation, rows)))
    yield Section("Precision and recall", list(curve_parts(species_curves(evaluation), names, models, threshold)))
    yield Section("Calibration", list(calibration_parts(evaluation)))
    yield Section("Labels by time of day", list(hour_parts(everything)))
    leader, _ = leading_model(evaluation)
    with progress_bar() as show:
        source, seed = str(facts[leader].model), evaluation.options.seed
        parts = list(embedding_parts(leader, source, evaluation.reference, request.device, seed, show))
    yield Section("Map of calls", parts)


def _media(request: ReportRequest, evaluation: Evaluation, found: Found | None, room: Room) -> Iterator[Section]:
    """What is as large as there is room."""
    leader, _ = leading_model(evaluation)
    stage = Stage(leader, evaluation.reference, evaluation.heard[leader], request.device)
    parts = recording_parts(stage, request.pictures, room, audio=request.audio)
    yield Section("Recordings to look at", list(parts))
    if found is not None and request.detections is not None:
        folder = request.detections

        def play(clip: str, label: str) -> str:
            return room.take(player_of_file(folder, clip, label)) if request.audio else ""

        yield Section("Detections", list(summary_parts(*found, play, level=3)))


def _page(request: ReportRequest, evaluation: Evaluation, notes: Sequence[str], sections: Sequence[Section]) -> str:
    told = [warning(note) if note.startswith(WARNING) else paragraph(note, "note") for note in notes]
    drawn = {"recording": "recordings", "site": "sites, with all their recordings,"}[request.options.resample]
    reading = [text.format(resamples=request.options.resamples, draws=drawn) for text in READING]
    if request.detections is not None:
        reading += OF_DETECTIONS
    facts = {
        **made_by(request.command),
        "models": ", ".join(f"{name}={source}" for name, source in request.models.items()),
        "labels": str(request.labels or evaluation.reference.root),
        "heard on": f"{request.device}, {torch.get_num_threads()} thread(s)",
    }
    return frame_page(
        f"Species detection on {evaluation.reference.root.resolve().name}: the report",
        [paragraph(lead(evaluation), "lead"), contents(sections), *told, *(one.to_html() for one in sections)],
        "".join(map(paragraph, reading)),
        facts,
        script=SCRIPT,
    )
