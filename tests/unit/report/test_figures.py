"""The choice of what is drawn."""

import numpy as np

from rfcx_ssl.data import load_truth
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.report.figures import Bars, pick_recording, recording_figure, species_bars


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
