"""Reliability diagrams: a panel per species, the counts of every filled bin, no more panels than can be read."""

from types import SimpleNamespace

import numpy as np
import pytest

from rfcx_ssl.pictures.reliability import MOST_PANELS, Panel, reliability_figure


def points(filled):
    count = np.zeros(10, np.int64)
    count[:filled] = 1500
    values = np.where(count > 0, np.linspace(0, 0.9, 10), np.nan)
    return SimpleNamespace(count=count, confidence=values, share=values)


@pytest.mark.parametrize("count", [1, 7, 40])
def test_every_species_has_a_panel_with_its_counts(count):
    figure = reliability_figure([Panel(f"species {n}", points(3), points(n % 4)) for n in range(count)])
    shown = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in shown] == [f"species {n}" for n in range(min(count, MOST_PANELS))]
    for number, axes in enumerate(shown):
        assert [text.get_text() for text in axes.texts] == ["2k"] * (3 + number % 4)
