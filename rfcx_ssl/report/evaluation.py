"""An evaluation from end to end: open the truth, hear it, judge, print a table, write CSV, Markdown, a page and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from rich.console import Console
from rich.table import Table

from rfcx_ssl.annotations.layout import TRUTH_TABLE
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.evaluate import Evaluation, JudgingOptions, evaluate
from rfcx_ssl.evaluation.groups import read_snr_db
from rfcx_ssl.evaluation.known import WARNING, few_sites, what_is_known, what_it_learned_from
from rfcx_ssl.evaluation.record import TABLE, write_record
from rfcx_ssl.evaluation.reference import Reference, open_reference
from rfcx_ssl.evaluation.runs import find_model
from rfcx_ssl.evaluation.systems import hear_all
from rfcx_ssl.files import write_csv, write_text
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.progress import say
from rfcx_ssl.report.curves import CSV_COLUMNS, curve_panels, curve_rows, species_curves
from rfcx_ssl.report.document import Document, Heading, Picture, Text
from rfcx_ssl.report.evaluation_tables import (
    csv_cell,
    evaluation_rows,
    group_grids,
    score_grid,
    species_grid,
    species_rows,
    terminal_grid,
)
from rfcx_ssl.report.figures import Bars, pick_recording, recording_figure, species_bars
from rfcx_ssl.report.page import made_by

if TYPE_CHECKING:
    from rfcx_ssl.report.document import Part

MOST_BARS = 40  # species; with more the bars are a picture of several pages, and the table says the same
READING = (
    "LWLRAP: for every species that calls in a recording, the share of true species among those ranked at or above it; the "
    "mean over all of them. mAP: average precision over recordings, mean over species. ROC-AUC: the chance that a "
    "recording (or box) with the species scores above one without. Precision, recall and F1: a detection is a score of at "
    "least {threshold:g}; of boxes, segments and events what a model has decided for itself, where it has and --threshold is not "
    "given. Segment F1: seconds in which a species calls. Event F1: single calls with their start and end. "
    "PSDS: recall of whole calls over all thresholds up to 100 false detections an hour.",
    "Only what somebody said is judged: a cell (a species in a recording) is known where the species was marked, or where "
    "everything was marked and it was not. Scores on known cells depend on who chose the cells: compare models on them, "
    "not with scores on other recordings. Beside each score stands what is reached without listening: random scores "
    "(chance), the class prior, or detecting everything all the time (always).",
    "Brackets are 95 % intervals: {draws} drawn with replacement {resamples} times, the same draws for all models, so that "
    "a margin can be certain where two intervals overlap. They say nothing about other training seeds.",
)


@dataclass(frozen=True)
class EvaluateRequest:
    """What to judge on what; ``models`` maps names to run folders, model directories or models on the hub."""

    models: Mapping[str, str]
    labels: Path
    out: Path
    options: JudgingOptions
    config: str | None = None  # of the labels; None: truth.csv, or the layout that is found
    overrides: Sequence[str] = ()
    fold: int | None = None
    device: str = "cpu"
    command: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no models to judge: give at least one run folder or model directory")


def run_evaluation(request: EvaluateRequest, console: Console) -> Evaluation:
    """Judge all models, print the table and write everything into ``request.out``.

    Raises:
        RfcxError: a model, the labels or a setting cannot be used, or nothing can be judged.
    """
    facts = {name: find_model(source) for name, source in request.models.items()}
    reference = open_reference(request.labels, request.config, request.overrides, request.fold)
    known = what_is_known(reference)
    learned = {name: what_it_learned_from(name, run, reference) for name, run in facts.items()}
    notes = [*known, *learned.values()]
    if request.options.resample == "site":
        notes += [warning for warning in [few_sites(reference)] if warning]
    for note in notes:
        say(console, note)
    num_species = len(reference.space.species_names)
    snr_db = read_snr_db(reference.root / TRUTH_TABLE, reference.recording_ids, num_species)
    request.out.mkdir(parents=True, exist_ok=True)
    evaluation = evaluate(reference, hear_all(facts, reference, request.device, console), request.options, snr_db)
    for note in evaluation.notes:
        say(console, note)
    print_evaluation(evaluation, console)
    write_evaluation(request, evaluation, [*notes, *evaluation.notes])
    folders = {name: run.model for name, run in facts.items()}
    write_record(request.out, data_name(reference), known, folders, learned)
    say(console, f"wrote {request.out / 'report.html'}, report.md and the tables beside it")
    return evaluation


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """The scores that are defined, floors first."""
    grid, reference = terminal_grid(evaluation), evaluation.reference
    table = Table(title=f"{data_name(reference)}: {len(reference.paths)} recordings ({reference.what})")
    for place, header in enumerate(grid.headers):
        table.add_column(header, justify="left" if place == 0 else "right", no_wrap=True)
    for row in grid.rows:
        table.add_row(*row)
    console.print(table)


def write_evaluation(request: EvaluateRequest, evaluation: Evaluation, notes: Sequence[str]) -> None:
    """Write evaluation.csv, species.csv, precision_recall.csv, the pictures, report.md and report.html."""
    out, names = request.out, evaluation.reference.space.species_names
    write_csv(out / TABLE, *evaluation_rows(evaluation))
    species, curves = species_rows(evaluation), species_curves(evaluation)
    write_csv(out / "species.csv", list(species[0]), ([csv_cell(cell) for cell in row.values()] for row in species))
    write_csv(out / "precision_recall.csv", CSV_COLUMNS, curve_rows(curves, names))
    parts: list[Part] = [Text(note, warns=note.startswith(WARNING)) for note in notes]
    parts += [Heading("Scores"), score_grid(evaluation)]
    for heading, grid in group_grids(evaluation):
        parts += [Heading(heading), grid]
    parts += [Heading("Species"), species_grid(species, list(evaluation.judged))]
    panels = curve_panels(curves, names, evaluation.options.plain_threshold)
    if panels is not None:
        alt = "Precision and recall of the species with the most positives"
        parts += [Picture("precision-recall.png", alt, panels)]
    parts += _pictures(evaluation)
    for part in parts:
        if isinstance(part, Picture):
            save_figure(part.figure, out / part.file)
    document = Document(
        title=f"Species detection on {data_name(evaluation.reference)}: the evaluation",
        lead=_lead(evaluation),
        parts=parts,
        reading=[text.format(**_drawing(evaluation.options)) for text in READING],
        facts=_facts(request),
    )
    write_text(out / "report.md", document.to_markdown())
    write_text(out / "report.html", document.to_html())


def data_name(reference: Reference) -> str:
    """What the data set is called: its folder."""
    return reference.root.resolve().name


def _pictures(evaluation: Evaluation) -> list[Part]:
    """Average precision as bars, and one recording whose every call is known."""
    reference = evaluation.reference
    parts: list[Part] = []
    precision = {name: judged.recordings.precision.per_class for name, judged in evaluation.judged.items()}
    if 0 < reference.truth.any(axis=0).sum() <= MOST_BARS:
        floor = next(iter(evaluation.judged.values())).recordings.judge.chance
        bars = species_bars(reference, [Bars("average precision, raw", precision, floor, "random order")])
        parts += [Picture("species.png", "Average precision of each species", bars)]
    model, heard = next(iter(evaluation.heard.items()))
    if heard.frames:
        row = pick_recording(reference, list(heard.frames))
        figure = recording_figure(reference, row, heard.frames[row], heard.grid, model)
        parts += [
            Heading("One recording"),
            Picture("one-recording.png", f"What {model} hears in one recording", figure),
        ]
    return parts


def _lead(evaluation: Evaluation) -> str:
    """The first score that is defined, of the model that is highest in it."""
    grid = score_grid(evaluation)
    models = list(evaluation.overall)
    if not grid.rows:
        return "Nothing could be judged."
    label, chance, blind, *cells = grid.rows[0]
    best = max(range(len(models)), key=lambda place: float(cells[place].split()[0]))
    return (
        f"{len(models)} model{'s' if len(models) > 1 else ''} on {len(evaluation.reference.paths)} recordings. "
        f"{label}: {models[best]} {cells[best]}; without listening {chance} by chance, {blind} by the class prior."
    )


def _drawing(options: JudgingOptions) -> dict[str, object]:
    draws = {"recording": "recordings are", "site": "sites, with all their recordings, are"}[options.resample]
    return {"threshold": options.plain_threshold, "draws": draws, "resamples": options.resamples}


def _facts(request: EvaluateRequest) -> dict[str, str]:
    return {
        **made_by(request.command),
        "speed measured on": f"{request.device}, {torch.get_num_threads()} thread(s), decoding left out",
        "models": ", ".join(f"{name}={source}" for name, source in request.models.items()),
        "labels": str(request.labels),
    }
