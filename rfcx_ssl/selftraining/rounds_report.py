"""The table and the picture of the rounds: rounds.csv, rounds.md, rounds.png, and the table on the terminal."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from rfcx_ssl.files import write_csv, write_text
from rfcx_ssl.metrics import Interval
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.pictures.rounds import Panel, rounds_figure
from rfcx_ssl.selftraining.arms import CONTROL, TEACHERS, Arm
from rfcx_ssl.selftraining.verdicts import MEASURES, UNDEFINED, Verdict

PARTS = {"oof": "out of fold", "test": "test"}
RIVALS = (TEACHERS, CONTROL)


class Row(NamedTuple):
    """One arm, judged."""

    arm: Arm
    oof: Verdict | None
    test: Verdict | None
    facts: Mapping[str, Any]  # of self_train.json

    @property
    def dropped(self) -> tuple[str, ...]:
        """Species that the labels of the round leave out."""
        return tuple(self.facts.get("flagged", {})) if self.facts.get("dropped") else ()

    def verdict(self, part: str) -> Verdict | None:
        """By ``PARTS``."""
        return self.oof if part == "oof" else self.test


def write_rounds(rows: Sequence[Row], out: Path, metric: str | None, console: Console) -> None:
    """Write the three files and print the table of all arms so far."""
    shown = [(part, measure) for part, measure in _judged(rows) if measure in {metric, "lwlrap", "map"}]
    cells = [_numbers(row, rows) for row in rows]
    columns = list(dict.fromkeys(name for row in cells for name in row))
    write_csv(out / "rounds.csv", columns, ([row.get(name) for name in columns] for row in cells))
    write_text(out / "rounds.md", _markdown(rows, shown))
    panels = [
        Panel(
            f"{measure}, {PARTS[part]}", [row.arm.name for row in rows], [_value(row, part, measure) for row in rows]
        )
        for part, measure in shown
    ]
    if panels:
        save_figure(rounds_figure(panels, CONTROL), out / "rounds.png")
    head, *body = _lines(rows, shown)
    table = Table(*head)
    for line in body:
        table.add_row(*line)
    console.print(table)


def _judged(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Parts and measures by which any arm could be judged."""
    for part in PARTS:
        for measure in MEASURES:
            if any(not math.isnan(_value(row, part, measure).value) for row in rows):
                yield part, measure


def _value(row: Row, part: str, measure: str) -> Interval:
    verdict = row.verdict(part)
    return UNDEFINED if verdict is None else verdict.value(measure)


def _over(row: Row, rival: str, rows: Sequence[Row], part: str, measure: str) -> Interval:
    """The difference to another arm; NaN for the arm itself, and while there is none."""
    other = next((one for one in rows if one.arm.name == rival and one is not row), None)
    own = row.verdict(part)
    against = None if other is None else other.verdict(part)
    return UNDEFINED if own is None or against is None else own.over(against, measure)


def _numbers(row: Row, rows: Sequence[Row]) -> dict[str, Any]:
    facts = row.facts
    found: dict[str, Any] = {
        "arm": row.arm.name,
        "folder": row.arm.folder,
        "models": len(row.arm.runs),
        "steps": None if row.arm.settings is None else row.arm.settings.max_steps,
        "labelled_recordings": facts.get("recordings"),
        "labelled_hours": facts.get("hours"),
        "prevalence": facts.get("prevalence"),
        "flagged": "; ".join(facts.get("flagged", {})),
        "left_out": "; ".join(row.dropped),
    }
    for part, measure in _judged(rows):
        found |= _columns(f"{part}_{measure}", _value(row, part, measure))
        verdict = row.verdict(part)
        found |= _of_seeds(f"{part}_{measure}", [] if verdict is None else verdict.seeds(measure))
        for rival in RIVALS:
            found |= _columns(f"{part}_{measure}_over_{rival}", _over(row, rival, rows, part, measure))
    return found


def _columns(name: str, interval: Interval) -> dict[str, float | None]:
    ends = zip(("", "_low", "_high"), interval, strict=True)
    return {f"{name}{end}": None if math.isnan(value) else value for end, value in ends}


def _of_seeds(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """Mean and standard deviation over seeds, each seed's models judged by themselves; nothing for one seed."""
    if len(values) < 2 or math.isnan(values[0]):
        return {}
    return {f"{name}_seed_mean": statistics.mean(values), f"{name}_seed_std": statistics.stdev(values)}


def _lines(rows: Sequence[Row], shown: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """Heading and cells of the table for people."""
    head = ["round", "models", "hours labelled", "species left out"]
    for part, measure in shown:
        head += [f"{measure}, {PARTS[part]}", *(f"over {rival}" for rival in RIVALS)]
    yield head
    for row in rows:
        hours = row.facts.get("hours")
        cells = [row.arm.name, str(len(row.arm.runs)), "" if hours is None else f"{hours:.2f}", str(len(row.dropped))]
        for part, measure in shown:
            cells.append(_shown(_value(row, part, measure), ".4f"))
            cells += [_shown(_over(row, rival, rows, part, measure), "+.4f") for rival in RIVALS]
        yield cells


def _shown(interval: Interval, how: str) -> str:
    value, low, high = interval
    if math.isnan(value):
        return ""
    return format(value, how) + ("" if math.isnan(low) else f" [{low:{how}}, {high:{how}}]")


def _markdown(rows: Sequence[Row], shown: Sequence[tuple[str, str]]) -> str:
    head, *body = _lines(rows, shown)
    lines = [
        "# Rounds of self-training",
        "",
        "Each round is the mean of what its models say. In brackets: 95 % bootstrap intervals over recordings; differences are "
        "paired, on the same resampled recordings. The control is trained without pseudo-labels. Out of fold, a round's labels "
        "still depend on those of the fold that judges it (docs/self-training.md); the test recordings have taught no model.",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
        *(f"| {' | '.join(line)} |" for line in body),
    ]
    for row in rows:
        flagged = row.facts.get("flagged", {})
        if flagged:
            lines += [
                "",
                f"Flagged in the labels of {row.arm.name}" + (", left out:" if row.dropped else ", kept:"),
                "",
            ]
            lines += [f"- {species}: {warning}" for species, warning in flagged.items()]
    return "\n".join(lines) + "\n"
