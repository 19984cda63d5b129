"""The choice of what is drawn."""

from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.data import load_truth
from rfcx_ssl.evaluation.runs import Curve, RunFacts
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.report.figures import (
    Bars,
    label_curves,
    name_series,
    pick_recording,
    recording_figure,
    species_bars,
    training_curves,
)


def test_the_richest_recording_is_pictured_with_true_and_false_species(forest):
    truth = load_truth(forest)
    row = pick_recording(truth)
    assert truth.paths[row].stem == "aa"
    probability = np.zeros((20, 24), dtype=np.float32)
    probability[:, [7, 8, 9]] = 0.9, 0.8, 0.7
    upper, lower, *_ = recording_figure(truth, row, probability, FrameGrid(32_000, 3_200), "cnn").axes
    names = truth.space.species_names
    labels = [label.get_text() for label in lower.get_yticklabels()]
    assert labels == [names[0], names[3], *(f"{names[s]} (not there)" for s in (7, 8, 9))]
    assert len(upper.patches) == 3 and len(lower.patches) == 3  # every call, in both panels
    assert upper.get_xlim() == (0.0, 2.0)


def test_bars_for_species_that_are_there(forest):
    truth = load_truth(forest)
    values = np.linspace(0, 1, 24)
    panels = [Bars("precision", {"one": values, "two": values}, values, "chance"), Bars("rank", {}, values, "prior")]
    axes, other = species_bars(truth, panels).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{truth.space.species_names[3]} (2)",
        f"{truth.space.species_names[0]} (1)",
    ]
    assert len(axes.patches) == 4 and len(other.patches) == 0
    assert "precision" in axes.get_xlabel() and "chance" in axes.get_xlabel() and "prior" in other.get_xlabel()
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the most frequent species is on top"


def test_curves_need_two_points():
    once, twice = Curve("valid", [10], [0.1]), Curve("loss", [10, 20], [2.0, 1.0])
    assert training_curves({"a": [once]}) is None
    figure = training_curves({"a": [once, twice], "b": [twice]})
    assert [axes.get_title() for axes in figure.axes] == ["loss"] and len(figure.axes[0].lines) == 2


def facts(settings, labels):
    return RunFacts(Path(), labels, settings, None, [])


@pytest.mark.parametrize(
    ("runs", "series"),
    [
        ({"cnn_few": ("c", 3), "cnn_all": ("c", 9), "w_few": ("w", 3)}, {"cnn": ["cnn_few", "cnn_all"]}),
        ({"few-cnn": ("c", 3), "all-cnn": ("c", 9)}, {"cnn": ["few-cnn", "all-cnn"]}),
        ({"one": ("c", 3), "two": ("c", 9)}, {"one": ["one", "two"]}),
        ({"one": ("c", 3), "two": ("c", 3)}, {}),
        ({"one": (None, 3), "two": (None, None)}, {}),
    ],
)
def test_runs_of_one_model_with_other_labels_are_a_series(runs, series):
    assert name_series({name: facts(*known) for name, known in runs.items()}) == series


def test_a_line_goes_through_the_means_of_the_runs():
    names, labels = ["a1", "a2", "b"], {"a1": 10, "a2": 10, "b": 40}
    scores = {"a1": 0.2, "a2": 0.4, "b": 0.6}
    (axes,) = label_curves({"cnn": names}, labels, {"mAP": scores}).axes
    dots, line = axes.get_lines()
    assert list(dots.get_ydata()) == [0.2, 0.4, 0.6]
    assert list(line.get_xdata()) == [10, 40]
    assert line.get_ydata() == pytest.approx([0.3, 0.6])
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["10", "40"]
