"""The choice of what is drawn."""

import numpy as np

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.report.figures import pick_recording, recording_figure, species_bars, training_curves
from rfcx_ssl.report.runs import Curve
from rfcx_ssl.report.testset import load_test_set
from rfcx_ssl.species import rfcx_label_space


def test_the_richest_recording_is_pictured_with_true_and_false_species(forest):
    test_set = load_test_set(forest, rfcx_label_space())
    row = pick_recording(test_set)
    assert test_set.paths[row].stem == "aa"
    probability = np.zeros((20, 24), dtype=np.float32)
    probability[:, [7, 8, 9]] = 0.9, 0.8, 0.7
    upper, lower, *_ = recording_figure(test_set, row, probability, FrameGrid(32_000, 3_200), "cnn").axes
    names = test_set.species_names
    labels = [label.get_text() for label in lower.get_yticklabels()]
    assert labels == [names[0], names[3], *(f"{names[s]} (not there)" for s in (7, 8, 9))]
    assert len(upper.patches) == 3 and len(lower.patches) == 3  # every call, in both panels
    assert upper.get_xlim() == (0.0, 2.0)


def test_bars_for_species_that_are_there(forest):
    test_set = load_test_set(forest, rfcx_label_space())
    values = np.linspace(0, 1, 24)
    axes = species_bars(test_set, {"one": values, "two": values}, values).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        f"{test_set.species_names[3]} (2)",
        f"{test_set.species_names[0]} (1)",
    ]
    assert len(axes.patches) == 4


def test_curves_need_two_points():
    once, twice = Curve("valid", [10], [0.1]), Curve("loss", [10, 20], [2.0, 1.0])
    assert training_curves({"a": [once]}) is None
    figure = training_curves({"a": [once, twice], "b": [twice]})
    assert [axes.get_title() for axes in figure.axes] == ["loss"] and len(figure.axes[0].lines) == 2
