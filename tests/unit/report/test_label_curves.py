"""Which runs are a series, and what is drawn of them."""

from pathlib import Path

import pytest

from rfcx_ssl.evaluation.runs import Curve, RunFacts
from rfcx_ssl.report.label_curves import label_curves, means, name_series
from rfcx_ssl.report.runs.learning import fine_tuning_parts


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
    assert means(names, labels, scores) == [(10, pytest.approx(0.3)), (40, 0.6)]
    _, page = label_curves({"cnn": names}, labels, {"mAP": scores})
    assert page.count("<circle") == 3 and page.count("<path") == 1
    assert "a2: 10 labelled recordings, 0.400" in page and "cnn 0.300 with 10, 0.600 with 40" in page


def test_curves_need_two_points():
    once, twice = Curve("valid", [10], [0.1]), Curve("loss", [10, 20], [2.0, 1.0])
    runs = {
        name: RunFacts(Path(), 3, "c", None, curves)
        for name, curves in (("a", [once, twice]), ("b", [twice]), ("c", [once]))
    }
    _, page, without = fine_tuning_parts(runs)
    assert page.count("<figure>") == 1 and page.count("<path") == 2 and "No curves of c:" in without
