"""The comparison from end to end: hear, judge, write comparison.csv, pictures and report.html."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from rfcx_ssl.data import Truth, load_truth
from rfcx_ssl.errors import ConfigError, MissingExtraError, RfcxError
from rfcx_ssl.evaluation.events import always, judge_events
from rfcx_ssl.evaluation.judge import Floors, Judge, Scored
from rfcx_ssl.evaluation.prior import Prior, prior_of
from rfcx_ssl.evaluation.reference import Reference, complete_reference
from rfcx_ssl.evaluation.runs import read_run
from rfcx_ssl.evaluation.systems import Heard, hear_all
from rfcx_ssl.files import write_text
from rfcx_ssl.metrics.events import EventMetrics
from rfcx_ssl.metrics.floors import random_average_precision
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.progress import say
from rfcx_ssl.report.figures import Bars, pick_recording, recording_figure, species_bars
from rfcx_ssl.report.gates import BEST, PRIOR, Gate, Promise, judge_promise
from rfcx_ssl.report.label_curves import label_curves, name_series
from rfcx_ssl.report.markup import scrolled
from rfcx_ssl.report.page import inline_png, made_by, render_page
from rfcx_ssl.report.runs.learning import fine_tuning_parts
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
from rfcx_ssl.species.prevalence import NONE, TABLE


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
    prevalence: str = TABLE
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
        if self.prevalence == NONE and any(promise.worse == PRIOR for promise in self.promises):
            raise ConfigError(f"--prevalence {NONE}: a --gate over {PRIOR!r} needs prevalences")
        if not self.runs:
            raise ConfigError("no runs to compare: give at least one NAME=RUN_DIR")


@dataclass(frozen=True)
class Comparison:
    """All numbers of a comparison."""

    truth: Truth
    heard: dict[str, Heard]
    raw: dict[str, Scored]
    scaled: dict[str, Scored]  # none where nothing is prior-scaled
    prior: Prior
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
    reference = complete_reference(truth, request.data, "test recordings")
    request.out.mkdir(parents=True, exist_ok=True)
    heard = hear_all(facts, reference, request.device, console)
    result = judge_all(request, truth, reference, heard, console)
    print_comparison(table_title(request, truth), result.rows, result.gates, console)
    write(request, result)
    say(console, f"wrote {request.out / 'report.html'} and comparison.csv beside it")
    return result


def judge_all(
    request: CompareRequest, truth: Truth, reference: Reference, heard: dict[str, Heard], console: Console
) -> Comparison:
    """Turn what was heard into scores, floors, rows and gates."""
    prior = prior_of(reference, request.prevalence)
    if not prior.scales and request.prevalence != NONE:
        raise ConfigError(
            f"{request.data}: {prior.source} Compare with --prevalence FILE, or with --prevalence {NONE}"
        )
    judge = Judge(reference.truth, prior.values, resamples=request.resamples, seed=request.seed)
    floors = judge.floors()
    raw = {name: judge.score(system.clip) for name, system in heard.items()}
    scaled = {
        name: judge.score(scores)
        for name, system in heard.items()
        if (scores := prior.scale(name, system)) is not None
    }
    blind, events = _events(reference, heard, judge, console)
    rows = [system_row(name, raw[name], scaled.get(name), events.get(name), system) for name, system in heard.items()]
    by_species = species_rows(truth, "class prior (floor)", None, floors.prior, blind)
    for name in heard:
        by_species += species_rows(truth, name, raw[name], scaled.get(name), events.get(name))
    gates = [judge_promise(promise, raw, scaled, floors.prior) for promise in request.promises]
    return Comparison(truth, heard, raw, scaled, prior, floors, floor_rows(floors, blind) + rows, by_species, gates)


def _events(
    reference: Reference, heard: dict[str, Heard], judge: Judge, console: Console
) -> tuple[EventMetrics | None, dict[str, EventMetrics]]:
    """Event metrics of hearing everything all the time, and of each model; nothing where they cannot be computed."""
    first = next(iter(heard.values()))
    try:
        blind = judge_events(reference, first, always(first, judge.prevalence))
        return blind, {name: judge_events(reference, system, system.frames) for name, system in heard.items()}
    except MissingExtraError as error:
        say(console, f"no event metrics: {error}")
        return None, {}


def write(request: CompareRequest, result: Comparison) -> None:
    """Write every file of the comparison into ``request.out``."""
    write_rows(result.rows, request.out / "comparison.csv")
    write_rows(result.by_species, request.out / "species.csv")
    best, row = pictured_system(result.rows), pick_recording(result.truth)
    system = result.heard[best]
    panels = bar_panels(result)
    bars = species_bars(result.truth, panels)
    heard = recording_figure(result.truth, row, system.frames[row], system.grid, best)
    save_figure(bars, request.out / "species.png")
    save_figure(heard, request.out / "one-test-recording.png")
    told = f"Bars per species, the most frequent first, for {', '.join(result.heard)}: {' and '.join(one.title for one in panels)}"
    facts = {name: one.facts for name, one in result.heard.items()}
    sections: dict[str, Sequence[str]] = {
        "Species": [scrolled(inline_png(bars, f"{told}. The numbers are in species.csv"))],
        "One test recording": [
            scrolled(inline_png(heard, f"{result.truth.recording_ids[row]}: every call, and what {best} hears"))
        ],
        "Training": list(fine_tuning_parts(facts)),
    }
    if series := name_series(facts):
        sections["Labels"] = label_curves(series, *_label_scores(result))
    write_text(request.out / "gates.json", json.dumps([gate_facts(gate) for gate in result.gates], indent=1))
    page = render_page(
        f"Species detection on {data_name(request)}: the comparison",
        _lead(request, result),
        result.rows,
        result.gates,
        sections,
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
    scored = result.scaled or result.raw
    ranking = {name: one.ranking.per_class for name, one in scored.items()}
    title = "LWLRAP, prior-scaled" if result.scaled else "LWLRAP, raw"
    return [
        Bars("average precision, raw", precision, chance, "random order"),
        Bars(title, ranking, result.floors.prior.ranking.per_class, "class prior"),
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
        "prevalences": result.prior.source,
        "test recordings": f"{len(result.truth.paths)} in {request.data / 'test'}",
    }
