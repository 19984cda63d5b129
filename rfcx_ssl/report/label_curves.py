"""Scores against the number of labelled recordings, where runs of one model differ in it."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.report.chart import Axis, Line, lines, panels
from rfcx_ssl.report.markup import key


def name_series(runs: Mapping[str, RunFacts]) -> dict[str, list[str]]:
    """Runs of one model that differ in labels and seeds, by the words their names share; none with one number of labels."""
    groups: dict[str, list[str]] = {}
    for name, facts in runs.items():
        if facts.settings is not None and facts.labels is not None:
            groups.setdefault(facts.settings, []).append(name)
    series = {}
    for names in groups.values():
        if len({runs[name].labels for name in names}) > 1:
            words = [re.split(r"[-_. ]+", name) for name in names]
            shared = " ".join(word for word in words[0] if all(word in other for other in words))
            series[shared if shared and shared not in series else names[0]] = names
    return series


def label_curves(
    series: Mapping[str, Sequence[str]], labels: Mapping[str, int], scores: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """A dot per run, a line through the means of each series; ``scores``: title of a panel -> run -> score."""
    return [key(list(series)), panels([_panel(title, series, labels, own) for title, own in scores.items()])]


def means(names: Sequence[str], labels: Mapping[str, int], scores: Mapping[str, float]) -> list[tuple[float, float]]:
    """The mean score of the runs of each number of labels, in order of that number."""
    counts = sorted({labels[name] for name in names if name in scores})
    return [(c, float(np.mean([scores[n] for n in names if n in scores and labels[n] == c]))) for c in counts]


def _panel(
    title: str, series: Mapping[str, Sequence[str]], labels: Mapping[str, int], scores: Mapping[str, float]
) -> str:
    drawn, told = [], []
    for place, (shown, names) in enumerate(series.items()):
        found = [name for name in names if name in scores]
        tips = [f"{name}: {labels[name]} labelled recordings, {scores[name]:.3f}" for name in found]
        drawn.append(Line(shown, [(labels[n], scores[n]) for n in found], place, dots=True, tips=tips, line=False))
        drawn.append(Line(shown, line := means(names, labels, scores), place))
        told.append(f"{shown} " + ", ".join(f"{value:.3f} with {count:g}" for count, value in line))
    x = Axis.around([px for one in drawn for px, _ in one.points], "labelled recordings")
    y = Axis.around([py for one in drawn for _, py in one.points])
    return lines(title, drawn, x, y, f"{title} over labelled recordings, means of runs: {'; '.join(told)}")
