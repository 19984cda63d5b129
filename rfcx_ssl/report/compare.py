"""The comparison from end to end: hear, judge, write comparison.csv, pictures and report.html."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rfcx_ssl.data import Truth, load_truth
from rfcx_ssl.errors import ConfigError, MissingExtraError, RfcxError
from rfcx_ssl.files import write_text
from rfcx_ssl.metrics.events import EventMetrics, event_metrics
from rfcx_ssl.metrics.floors import random_average_precision
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.report.figures import (
    Bars,
    label_curves,
    name_series,
    pick_recording,
    recording_figure,
    species_bars,
    training_curves,
)
from rfcx_ssl.report.page import made_by, render_page
from rfcx_ssl.report.runs import read_run
from rfcx_ssl.report.scoring import BEST, PRIOR, Floors, Gate, Judge, Promise, Scored
from rfcx_ssl.report.systems import Heard, hear
from rfcx_ssl.report.table import (
    Row,
    SpeciesRow,
    floor_rows,
    gate_facts,
    gate_text,
    leaders,
    leaders_text,
    print_comparison,
    species_rows,
    system_row,
    write_rows,
)


class GateError(RfcxError):
    """A gate does not hold."""

    exit_code = 3


@dataclass(frozen=True)
class CompareRequest:
    """What to compare; ``runs`` maps names to run folders or model directories."""

    data: Path
    out: Path
    runs: Mapping[str, Path]
    promises: tuple[Promise, ...] = ()
    resamples: int = 1000
    seed: int = 0
    device: str = "cpu"
    command: str = ""

    def __post_init__(self) -> None:
        for promise in self.promises:
            for name, other in ((promise.better, BEST), (promise.worse, PRIOR)):
                if name not in (*self.runs, other):
                    raise ConfigError(
                        f"--gate: {name!r} is neither {other!r} nor a compared run: {', '.join(self.runs)}"
                    )
        for name in set(self.runs) & {BEST, PRIOR}:
            raise ConfigError(f"{name}={self.runs[name]}: {name!r} means something in --gate; use another name")
        if not self.runs:
            raise ConfigError("no runs to compare: give at least one NAME=RUN_DIR")


@dataclass(frozen=True)
class Comparison:
    """All numbers of a comparison."""

    truth: Truth
    heard: dict[str, Heard]
    raw: dict[str, Scored]
    scaled: dict[str, Scored]
    floors: Floors
    rows: list[Row]
    by_species: list[SpeciesRow]
    gates: list[Gate]


def compare(request: CompareRequest, console: Console) -> Comparison:
    """Evaluate all runs, print the table, write ``comparison.csv``, ``species.csv``, ``gates.json``, pictures and ``report.html``.

    Raises:
        RfcxError: a run, the data or a model cannot be used.
    """
    facts = {name: read_run(folder) for name, folder in request.runs.items()}
    truth = load_truth(request.data)
    request.out.mkdir(parents=True, exist_ok=True)
    heard: dict[str, Heard] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        for name, run in facts.items():
            task = progress.add_task(f"hearing with {name}", total=len(truth.paths))
            names, tick = truth.space.species_names, partial(progress.advance, task)
            heard[name] = hear(run, truth.paths, names, request.device, tick)
    result = judge_all(request, truth, heard, console)
    print_comparison(table_title(request, truth), result.rows, result.gates, console)
    write(request, result)
    console.print(f"wrote {request.out / 'report.html'} and comparison.csv beside it", highlight=False, soft_wrap=True)
    return result


def judge_all(request: CompareRequest, truth: Truth, heard: dict[str, Heard], console: Console) -> Comparison:
    """Turn what was heard into scores, floors, rows and gates."""
    judge = Judge(
        truth.truth > 0,
        np.array(truth.space.species.prevalence, float),
        resamples=request.resamples,
        seed=request.seed,
    )
    floors = judge.floors()
    raw = {name: judge.score(system.clip) for name, system in heard.items()}
    scaled = {name: judge.score_scaled(system.clip) for name, system in heard.items()}
    first = next(iter(heard.values()))
    blind = [np.broadcast_to(judge.prevalence, frames.shape) for frames in first.frames]
    always = judge_events(truth, first, blind, console)
    events = {name: judge_events(truth, system, system.frames, console) for name, system in heard.items()}
    rows = [system_row(name, raw[name], scaled[name], events[name], system) for name, system in heard.items()]
    by_species = species_rows(truth, "class prior (floor)", None, floors.prior, always)
    for name in heard:
        by_species += species_rows(truth, name, raw[name], scaled[name], events[name])
    gates = [judge.gate(promise, raw, scaled, floors.prior) for promise in request.promises]
    return Comparison(truth, heard, raw, scaled, floors, floor_rows(floors, always) + rows, by_species, gates)


def judge_events(truth: Truth, heard: Heard, frames: Sequence[NDArray[Any]], console: Console) -> EventMetrics | None:
    """Frame probabilities (T, S) against all calls; None, with a message, where sed_scores_eval is not installed.

    The thresholds tried lie 0.01 apart in log odds: 2.5 times faster than trying every score, within 0.01 of it.
    """
    calls = [[(call.start_s, call.end_s, call.species_id) for call in own] for own in truth.calls]
    try:
        return event_metrics([_coarse(scores) for scores in frames], calls, heard.durations_s, heard.grid.frame_s)
    except MissingExtraError as error:
        console.print(f"no event metrics: {error}", highlight=False, soft_wrap=True)
        return None


def write(request: CompareRequest, result: Comparison) -> None:
    """Write every file of the comparison into ``request.out``."""
    write_rows(result.rows, request.out / "comparison.csv")
    write_rows(result.by_species, request.out / "species.csv")
    best, row = pictured_system(result.rows), pick_recording(result.truth)
    system = result.heard[best]
    figures = {
        "Species": species_bars(result.truth, bar_panels(result)),
        "One test recording": recording_figure(result.truth, row, system.frames[row], system.grid, best),
    }
    curves = training_curves({name: heard.facts.curves for name, heard in result.heard.items()})
    if curves is not None:
        figures["Training"] = curves
    series = name_series({name: heard.facts for name, heard in result.heard.items()})
    if series:
        figures["Labels"] = label_curves(series, *_label_scores(result))
    for heading, figure in figures.items():
        save_figure(figure, request.out / f"{heading.lower().replace(' ', '-')}.png")
    write_text(request.out / "gates.json", json.dumps([gate_facts(gate) for gate in result.gates], indent=1))
    page = render_page(
        f"Species detection on {data_name(request)}: the comparison",
        _lead(request, result),
        result.rows,
        result.gates,
        figures,
        _facts(request, result),
        request.resamples,
    )
    write_text(request.out / "report.html", page)


def _label_scores(result: Comparison) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    """Labelled recordings of every run, and its scores by panel."""
    rows = {row.system: row for row in result.rows if row.labels is not None}
    labels = {name: row.labels for name, row in rows.items() if row.labels is not None}
    titles = {"LWLRAP, raw": "lwlrap", "mAP": "map_macro", "PSDS": "psds"}
    panels = {
        title: {name: value for name, row in rows.items() if (value := getattr(row, field)) is not None}
        for title, field in titles.items()
    }
    return labels, {title: scores for title, scores in panels.items() if scores}


def _coarse(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities rounded to steps of 0.01 in log odds; their order stays, but for new ties."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    log_odds = np.round(100 * np.log(clipped / (1 - clipped))) / 100
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def require_gates(gates: list[Gate]) -> None:
    """Raise :class:`GateError` (exit code 3) naming every gate that does not hold."""
    failed = [gate_text(gate) for gate in gates if not gate.holds]
    if failed:
        raise GateError(f"{len(failed)} of {len(gates)} gates do not hold: {'; '.join(failed)}")


def data_name(request: CompareRequest) -> str:
    """What the data set is called: its folder."""
    return request.data.resolve().name


def table_title(request: CompareRequest, truth: Truth) -> str:
    """Above the table of the terminal."""
    return f"{data_name(request)}: {len(truth.paths)} test recordings, complete truth"


def pictured_system(rows: Sequence[Row]) -> str:
    """Whose frame probabilities are drawn: the highest mAP, which no prior helps; the first where there is none."""
    best = leaders(rows).get("mAP")
    return best.system if best else next(row.system for row in rows if row.parameters is not None)


def bar_panels(result: Comparison) -> list[Bars]:
    """Per species: what a model's own order of recordings is worth, and LWLRAP with the prior's knowledge added."""
    present = result.truth.truth > 0
    chance = np.array([random_average_precision(present[:, [species]]) for species in range(present.shape[1])])
    precision = {name: scored.precision.per_class for name, scored in result.raw.items()}
    ranking = {name: scored.ranking.per_class for name, scored in result.scaled.items()}
    return [
        Bars("average precision, raw", precision, chance, "random order"),
        Bars("LWLRAP, prior-scaled", ranking, result.floors.prior.ranking.per_class, "class prior"),
    ]


def _lead(request: CompareRequest, result: Comparison) -> str:
    truth, gates = result.truth, result.gates
    held = sum(gate.holds for gate in gates)
    return (
        f"{len(result.heard)} trained models on {len(truth.paths)} test recordings of {data_name(request)} with "
        f"{sum(map(len, truth.calls))} calls, all of them known. Highest: {leaders_text(result.rows)}. "
        + (f"{held} of {len(gates)} gates hold." if gates else "")
    )


def _facts(request: CompareRequest, result: Comparison) -> dict[str, str]:
    return {
        **made_by(request.command),
        "speed measured on": f"{request.device}, {torch.get_num_threads()} thread(s), decoding left out",
        "runs": ", ".join(f"{name}={folder}" for name, folder in request.runs.items()),
        "test recordings": f"{len(result.truth.paths)} in {request.data / 'test'}",
    }
