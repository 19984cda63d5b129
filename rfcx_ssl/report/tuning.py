"""Tuning from end to end: gather evidence, choose, print a table, write decisions, CSV, Markdown, a page and pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

import rfcx_ssl
from rfcx_ssl.decoding.decisions_file import DECISIONS_FILE, write_decisions
from rfcx_ssl.decoding.settings import DEFAULT_DECODER
from rfcx_ssl.errors import ConfigError, some_of
from rfcx_ssl.evaluation.known import WARNING, what_is_known, what_it_learned_from
from rfcx_ssl.evaluation.reference import open_reference
from rfcx_ssl.evaluation.runs import RunFacts, find_model
from rfcx_ssl.evaluation.systems import hear_all
from rfcx_ssl.files import write_csv, write_text
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.progress import say
from rfcx_ssl.report.document import Document, Grid, Heading, Picture, Text
from rfcx_ssl.report.page import made_by
from rfcx_ssl.report.tuning_tables import (
    BIN_COLUMNS,
    TUNE_COLUMNS,
    bin_rows,
    reliability_picture,
    species_grid,
    summary_grid,
    tune_rows,
)
from rfcx_ssl.tuning.evidence import Evidence, evidence_of
from rfcx_ssl.tuning.oof import out_of_fold
from rfcx_ssl.tuning.tune import Tuned, TuneOptions, tune

if TYPE_CHECKING:
    from rfcx_ssl.report.document import Part

OPTIMISTIC = (
    "Columns without cv_ are judged on the recordings that chose the decisions, which flatters them; expect those with cv_ on other "
    "recordings of the same kind. Evaluating on these recordings is no test of the decisions."
)
READING = (
    "cv: one group of recordings after the other is left out, everything is chosen on the others, and judged on it. The choice "
    "between the default and an own smoothing has seen all groups, so that cv is a little too good where smoothing was chosen.",
    "calls: an event is right where at least half of it lies on calls of its species, a call is found where at least half of it "
    "is covered by right events, and every other event is a false alarm. boxes, recordings: the best frame reaches the threshold.",
    "Thresholds in decisions.json are on calibrated probabilities; the column threshold is on the model's own, with hysteresis: "
    "there, a calibration makes other numbers of the same events. Change points are found in calibrated probabilities, and the "
    "column is of these; the calibration has seen all groups. It holds where a species is as frequent as among the cells it was "
    "fitted to.",
)


@dataclass(frozen=True)
class TuneRequest:
    """Which models to tune on what; ``labels`` None: on their own validation sides, pooled."""

    models: Mapping[str, str]
    out: Path
    options: TuneOptions
    labels: Path | None = None
    config: str | None = None
    overrides: Sequence[str] = ()
    fold: int | None = None
    dry_run: bool = False
    device: str = "cpu"
    command: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("no models to tune: give at least one run folder or model directory")


@dataclass(frozen=True)
class Job:
    """Some evidence, and the models whose decisions it makes."""

    folder: Path  # of the results
    facts: Mapping[str, RunFacts]
    evidence: Evidence
    source: str  # of the evidence, in words
    notes: Sequence[str]


def run_tuning(request: TuneRequest, console: Console) -> dict[str, Tuned]:
    """Tune, print, and write everything into ``request.out`` and the decisions into the models' folders.

    Raises:
        RfcxError: a model, the labels or a setting cannot be used, or there is nothing to tune by.
    """
    facts = {name: find_model(source) for name, source in request.models.items()}
    done: dict[str, Tuned] = {}
    for job in _jobs(request, facts, console):
        tuned = tune(job.evidence, request.options)
        notes = [*job.notes, *_what_was_chosen(tuned), OPTIMISTIC]
        for note in notes[len(job.notes) :]:
            say(console, note)
        _print_grid(species_grid(tuned), console)
        written = _write_decisions(request, job, tuned, notes)
        _write_report(request, job, tuned, notes)
        for path in [*written, job.folder / "report.html"]:
            say(console, f"wrote {path}")
        done |= dict.fromkeys(job.facts, tuned)
    return done


def _jobs(request: TuneRequest, facts: Mapping[str, RunFacts], console: Console) -> Iterator[Job]:
    """What belongs together: each model with what it hears, or all folds with what they have heard."""
    if request.labels is None:
        evidence = out_of_fold(list(facts.values()))
        runs = f"the validation sides of {some_of(list(facts), 3)}"
        note = f"Out-of-fold scores of {len(evidence.groups.of_recording)} recordings ({runs}). "
        note += "Where training kept its best weights, they were chosen on these recordings, too."
        say(console, note)
        yield Job(request.out, facts, evidence, runs, [note])
        return
    reference = open_reference(request.labels, request.config, request.overrides, request.fold)
    known = what_is_known(reference)
    learned = {name: what_it_learned_from(name, run, reference) for name, run in facts.items()}
    for note in (*known, *learned.values()):
        style = "bold red" if note.startswith(WARNING) else None
        say(console, note, style)
    request.out.mkdir(parents=True, exist_ok=True)
    for name, run in facts.items():
        heard = hear_all({name: run}, reference, request.device, console)[name]
        folder = request.out if len(facts) == 1 else request.out / name
        what = f"{reference.root.resolve().name}: {len(reference.paths)} recordings ({reference.what})"
        yield Job(folder, {name: run}, evidence_of(reference, heard), what, [*known, learned[name]])


def _what_was_chosen(tuned: Tuned) -> Iterator[str]:
    """How many species stand by themselves, which do not, and what could not be reached."""
    need, own = tuned.options.min_positives, [row for row in tuned.species if row.own]
    decoder = "" if tuned.options.decoder == DEFAULT_DECODER else f", decoder {tuned.options.decoder}"
    yield (
        f"Judged by {tuned.kind}, criterion {tuned.options.criterion}{decoder}: {len(own)} of {len(tuned.species)} species by themselves; "
        f"left out in turn: {tuned.folds} of {tuned.groups}."
    )
    if tuned.shared:
        yield (
            f"{len(tuned.shared)} species have fewer than {need} present or absent ones (--min-positives) and share the decision "
            f"of all together: {some_of(tuned.shared, 8)}."
        )
    if missed := [row.name for row in own if not row.decided.reached]:
        yield f"{WARNING} no threshold reaches {tuned.options.criterion} for {some_of(missed, 8)}: the nearest was taken."


def _write_decisions(request: TuneRequest, job: Job, tuned: Tuned, notes: Sequence[str]) -> list[Path]:
    """decisions.json of every model: in its folder, or in ``out`` where that is wished or the model lies on the hub."""
    written = []
    for name, run in job.facts.items():
        names = RainforestSedConfig.from_pretrained(run.model).space.species_names
        decisions = tuned.decisions(names, _about(request, job, tuned, notes))
        keep = request.dry_run or not run.model.is_dir()
        folder = job.folder if len(job.facts) == 1 else job.folder / name
        target = folder if keep else run.model
        target.mkdir(parents=True, exist_ok=True)
        write_decisions(target / DECISIONS_FILE, decisions)
        written.append(target / DECISIONS_FILE)
    return written


def _about(request: TuneRequest, job: Job, tuned: Tuned, notes: Sequence[str]) -> dict[str, Any]:
    """How the decisions were chosen, for those who find them."""
    crossed = tuned.everyone.decided.crossed
    return {
        "rfcx_ssl": rfcx_ssl.__version__,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "criterion": str(tuned.options.criterion),
        "judged_by": tuned.kind,
        "data": job.source,
        "min_positives": tuned.options.min_positives,
        "species_by_themselves": len(tuned.species) - len(tuned.shared),
        "shared": tuned.shared,
        "f1_cross_validated": tuned.mean("crossed"),
        "f1_of_defaults": tuned.mean("untuned"),
        "f1_shared_cross_validated": None if math.isnan(crossed.f1) else crossed.f1,
        "warnings": [note for note in notes if note.startswith(WARNING)],
        "command": request.command,
    }


def _write_report(request: TuneRequest, job: Job, tuned: Tuned, notes: Sequence[str]) -> None:
    out = job.folder
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "tune.csv", TUNE_COLUMNS, tune_rows(tuned))
    write_csv(out / "reliability.csv", BIN_COLUMNS, bin_rows(tuned))
    parts: list[Part] = [Text(note, warns=note.startswith(WARNING)) for note in notes]
    parts += [Heading("All species"), summary_grid(tuned), Heading("Species"), species_grid(tuned)]
    parts += [Heading("Reliability"), reliability_picture(tuned)]
    for part in parts:
        if isinstance(part, Picture):
            save_figure(part.figure, out / part.file)
    document = Document(
        title=f"Decisions for {some_of(list(job.facts), 3)}",
        lead=f"Tuned by {tuned.options.criterion} on {job.source}.",
        parts=parts,
        reading=READING,
        facts={**made_by(request.command), "models": ", ".join(map(str, request.models.values()))},
    )
    write_text(out / "report.md", document.to_markdown())
    write_text(out / "report.html", document.to_html())


def _print_grid(grid: Grid, console: Console) -> None:
    table = Table()
    for place, header in enumerate(grid.headers):
        table.add_column(header, justify="right" if place else "left", no_wrap=not place)
    for row in grid.rows:
        table.add_row(*row)
    console.print(table)
