"""Rows as text: what does not apply is a dash on screen and empty in CSV."""

import csv
import io

from rich.console import Console

from rfcx_ssl.metrics import Interval
from rfcx_ssl.report.gates import Gate
from rfcx_ssl.report.table import (
    HEADERS,
    SCORES,
    Row,
    gate_text,
    leaders,
    leaders_text,
    print_comparison,
    shown_cells,
    write_rows,
)

ROW = Row("cnn", 0.5, 0.75, 0.7, 0.8, 0.6, 0.6, 0.4, 0.3, 0.2, 78, 1_500_000, 65.4, 33.3)
FLOOR = Row("floor", 0.25, None, None, None, 0.1, None)
GATE = Gate("one over the other", "LWLRAP", Interval(0.03, -0.01, 0.07), 0.05, Interval(0.04, 0.01, 0.08))


def test_cells():
    assert shown_cells(ROW) == [
        "cnn",
        "0.500",
        "0.750",
        "0.700..0.800",
        "0.600",
        "0.400",
        "0.200",
        "78",
        "1.50M",
        "65 s",
        "33x",
    ]
    assert set(shown_cells(FLOOR)[2:4] + shown_cells(FLOOR)[5:]) == {"\u2013"}
    assert len(HEADERS) == len(shown_cells(ROW))


def test_csv_keeps_precision_and_leaves_gaps(tmp_path):
    write_rows([FLOOR, ROW], tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as lines:
        floor, row = csv.DictReader(lines)
    assert floor["lwlrap_prior"] == "" and row["parameters"] == "1500000" and float(row["train_s"]) == 65.4


def test_a_failed_gate_says_so():
    console = Console(width=180, record=True, file=io.StringIO())
    print_comparison("hawks: 3 recordings", [FLOOR, ROW], [GATE], console)
    text = console.export_text()
    assert (
        "gate FAILS: one over the other: LWLRAP +0.030 (95 % interval -0.010 to +0.070)" in text
        and "required +0.05" in text
    )
    assert "hawks: 3 recordings" in text and "ynthetic" not in text
    assert gate_text(GATE) in text and not GATE.holds


def test_every_measure_has_its_own_leader_beside_its_floor():
    other = Row("w2v", 0.6, 0.7, 0.6, 0.8, 0.5, 0.5, 0.3, 0.3, None, 630, 9, 1.0, 1.0)
    prior = Row("prior (floor)", None, 0.65, None, None, None, 0.1, 0.9, 0.9, 0.9)
    best = {header: row.system for header, row in leaders([FLOOR, prior, ROW, other]).items()}
    assert best == {"LWLRAP raw": "w2v", "+ prior": "cnn", "mAP": "cnn", "seg. F1": "cnn", "PSDS": "cnn"}
    assert set(SCORES) <= set(HEADERS)
    text = leaders_text([FLOOR, prior, ROW, other])
    assert text.startswith(
        "LWLRAP raw w2v 0.600 (floor 0.250); + prior cnn 0.750 (floor 0.650); mAP cnn 0.600 (floor 0.100)"
    )
    assert leaders([FLOOR, prior]) == {} and leaders_text([]) == ""
