"""Calibration of a report: how often a species is there, by the probability that it was given."""

from collections.abc import Iterator

import numpy as np

from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.evaluation.evaluate import Evaluation
from rfcx_ssl.report.chart import Axis, Line, lines, panels
from rfcx_ssl.report.markup import key, paragraph
from rfcx_ssl.tuning.evidence import KINDS, Cells, evidence_of
from rfcx_ssl.tuning.reliability import reliability

MOST_PANELS = 12  # species, beside the one of all together
UNITS = {
    "calls": "seconds of recordings whose every call is known",
    "boxes": "boxes that were marked as present or absent",
    "recordings": "recordings",
}


def calibration_parts(evaluation: Evaluation) -> Iterator[str]:
    """A panel of all species, then those with the most positives."""
    found: dict[str, Cells] = {}
    kind = ""
    for name, system in evaluation.heard.items():
        evidence = evidence_of(evaluation.reference, system)
        has = [one for one in KINDS if all(count.any() for count in evidence.counts(one))]
        if not has:
            continue
        kind, cells = has[0], evidence.cells(has[0])
        found[name] = cells
        if system.decisions is not None:
            found[f"{name}, calibrated"] = _calibrated(cells, system.decisions.calibration)
    if not found:
        yield paragraph("No calibration: nothing is known to be both present and absent.")
        return
    first = next(iter(found.values()))
    names = evaluation.reference.space.species_names
    positives = np.bincount(first.species[first.present], minlength=len(names))
    chosen = [int(s) for s in np.argsort(-positives, kind="stable")[:MOST_PANELS] if positives[s]]
    yield key(list(found))
    figures = [_panel("all species together", found)]
    figures += [
        _panel(f"{names[s]} ({positives[s]})", {name: cells.of(s) for name, cells in found.items()}) for s in chosen
    ]
    yield panels(figures)
    own = " Calibrated: by the model's own decisions." if any(name not in evaluation.heard for name in found) else ""
    yield paragraph(
        f"Cells are {UNITS[kind]}, each by its best frame. On the gray diagonal a probability is a frequency. "
        f"ECE: mean distance from it. In brackets: positives.{own}", "note",
    )  # fmt: skip


def _calibrated(cells: Cells, calibration: ScoreMap) -> Cells:
    """The same cells with mapped scores."""
    scores = cells.scores.copy()
    for species in np.unique(cells.species).tolist():
        mine = cells.species == species
        scores[mine] = calibration.part([species])(cells.scores[mine, None])[:, 0]
    return cells._replace(scores=scores)


def _panel(title: str, found: dict[str, Cells]) -> str:
    unit = Axis(0.0, 1.0, "probability")
    series = [Line("a probability is a frequency", [(0.0, 0.0), (1.0, 1.0)], 6)]
    told = []
    for place, (name, cells) in enumerate(found.items()):
        seen = reliability(cells.scores, cells.present)
        filled = np.flatnonzero(seen.count).tolist()
        points = [(float(seen.confidence[b]), float(seen.share[b])) for b in filled]
        tips = [
            f"{name}: {seen.count[b]} cells of probability {seen.confidence[b]:.2f}, {seen.share[b]:.0%} present"
            for b in filled
        ]
        series.append(Line(name, points, place, dots=True, tips=tips))
        told.append(f"{name} {seen.error:.3f}")
    alt = f"Share that is present over probability, {title}; expected calibration error: {', '.join(told)}"
    note = f"ECE {', '.join(told)}"
    return lines(title, series, unit, Axis(0.0, 1.0), alt, note=note)
