"""Learning curves: of fine-tuning from the run folders, of pretraining from what the encoder's directory keeps of it."""

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from rfcx_ssl.evaluation.runs import RunFacts, read_json
from rfcx_ssl.pretraining.export import METRICS_FILE, RECORD_FILE
from rfcx_ssl.report.chart import Axis, Line, lines, panels
from rfcx_ssl.report.markup import heading, key, paragraph

_PRETRAINING = {  # column -> title, and whether its floor (or ceiling) is chance
    "loss_0": "contrastive loss (bits)",
    "accuracy": "accuracy of the contrast",
    "code_perplexity": "codes in use (perplexity)",
    "gnorm": "gradient norm",
}
Points = list[tuple[float, float]]


def learning_parts(facts: Mapping[str, RunFacts]) -> Iterator[str]:
    """Curves of fine-tuning, then of pretraining; a sentence where there are none."""
    yield heading("Fine-tuning", 3)
    yield from fine_tuning_parts(facts)
    yield heading("Pretraining", 3)
    yield from _pretraining(facts)


def fine_tuning_parts(facts: Mapping[str, RunFacts]) -> Iterator[str]:
    """A panel per quantity that some run has measured twice; which runs have none."""
    titles = list(dict.fromkeys(c.title for run in facts.values() for c in run.curves if len(c.steps) > 1))
    figures = []
    for title in titles:
        series = [
            Line(name, list(zip(curve.steps, curve.values, strict=True)), place, dots=len(curve.steps) <= 30)
            for place, (name, run) in enumerate(facts.items())
            for curve in run.curves
            if curve.title == title
        ]
        figures.append(_panel(title, series, "optimizer steps"))
    if figures:
        yield key(list(facts))
        yield panels(figures)
    without = [name for name, run in facts.items() if not any(len(curve.steps) > 1 for curve in run.curves)]
    if without:
        yield paragraph(
            f"No curves of {', '.join(without)}: no run folder with two values of anything in metrics.jsonl."
        )


def _pretraining(facts: Mapping[str, RunFacts]) -> Iterator[str]:
    records: dict[Path, list[str]] = {}  # encoder -> runs that started from it
    silent = []
    for name, run in facts.items():
        folder = _encoder(run)
        if folder is not None and (folder / METRICS_FILE).is_file():
            records.setdefault(folder, []).append(name)
        else:
            silent.append(name)
    for folder, names in records.items():
        yield paragraph(f"{folder.name}, the encoder of {', '.join(names)}:")
        yield panels(list(_record_panels(folder)))
    if silent:
        yield paragraph(
            f"No record of a pretraining for {', '.join(silent)}: the run names no encoder directory that is there and holds "
            f"{METRICS_FILE}, which pretrain/convert.py writes."
        )


def _encoder(run: RunFacts) -> Path | None:
    """The encoder directory a run started from, as far as it tells."""
    config = {} if run.folder is None else read_json(run.folder / "run.json").get("config", {})
    model = config.get("model") or {}
    named = model.get("encoder") if model.get("encoder_weights") != "random" else None
    return Path(named) if named and Path(named).is_dir() else None


def _record_panels(folder: Path) -> Iterator[str]:
    rows = _read(folder / METRICS_FILE)
    verdict = read_json(folder / RECORD_FILE).get("verdict") or {}
    chance = verdict.get("chance_bits")
    levels = {"loss_0": chance, "accuracy": None if chance is None else 2.0 ** -float(chance)}
    for column, title in _PRETRAINING.items():
        series = [
            Line({"train": "training", "valid": "validation"}[split], points, place, dots=split == "valid")
            for place, split in enumerate(("train", "valid"))
            if (points := rows.get((split, column)))
        ]
        if series:
            level = levels.get(column)
            yield _panel(title, series, "updates", {} if level is None else {"chance": float(level)})


def _read(path: Path) -> dict[tuple[str, str], Points]:
    """Points (update, value) by split and column; cells that are no finite number are left out."""
    found: dict[tuple[str, str], Points] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for column in _PRETRAINING:
                cell = row.get(column) or "nan"
                if math.isfinite(value := float(cell)):
                    found.setdefault((row["split"], column), []).append((float(row["num_updates"]), value))
    return found


def _panel(title: str, series: list[Line], steps: str, levels: Mapping[str, float] | None = None) -> str:
    points = [point for one in series for point in one.points if math.isfinite(point[1])]
    x = Axis.around([px for px, _ in points], steps)
    y = Axis.around([py for _, py in points] + list((levels or {}).values()))
    told = "; ".join(f"{one.name} from {one.points[0][1]:.3g} to {one.points[-1][1]:.3g}" for one in series)
    return lines(title, series, x, y, f"{title} over {steps}: {told}", levels=levels)
