"""What a report shows of many recordings, against slow loops: mistakes, hours, neighbors, samples, the runs' own labels."""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest

from rfcx_ssl.annotations import Event
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.report.runs.embedding import neighbor_share
from rfcx_ssl.report.runs.hours import count_labels
from rfcx_ssl.report.runs.labels import reference_of_runs, sample_rows
from rfcx_ssl.report.runs.mistakes import best_and_worst, find_mistakes


def made_up(seed=0, rows=30, species=4):
    """Truth, known cells, boxes and scores at random."""
    rng = np.random.default_rng(seed)
    known = rng.random((rows, species)) < 0.4
    truth = known & (rng.random((rows, species)) < 0.4)
    boxes = tuple(
        tuple(
            JudgedBox(0, int(rng.integers(species)), 1.0, 2.0, bool(rng.random() < 0.5), np.arange(3))
            for _ in range(rng.integers(3))
        )
        for _ in range(rows)
    )
    reference = SimpleNamespace(truth=truth, known=known, boxes=lambda _: boxes, paths=range(rows))
    heard = SimpleNamespace(clip=rng.random((rows, species)), boxes=boxes, box_scores=rng.random(sum(map(len, boxes))))
    return reference, heard


def test_mistakes_are_those_of_a_loop():
    reference, heard = made_up()
    found, place, count = {one.row: one for one in find_mistakes(reference, heard)}, 0, 0
    for row in range(30):
        errors, has_present = [], False
        for species in range(4):
            if reference.known[row, species]:
                errors.append(abs(float(reference.truth[row, species]) - heard.clip[row, species]))
                has_present |= bool(reference.truth[row, species])
        for box in heard.boxes[row]:
            errors.append(abs(float(box.present) - heard.box_scores[place]))
            has_present |= box.present
            place += 1
        assert (row in found) == bool(errors)
        if errors:
            count += 1
            assert found[row].worst.error == pytest.approx(max(errors)) and found[row].has_present == has_present
    assert count == len(found)


def test_best_and_worst_are_apart_and_in_order():
    mistakes = find_mistakes(*made_up())
    best, worst = best_and_worst(mistakes, 4)
    errors = sorted(one.worst.error for one in mistakes if one.has_present)
    assert [one.worst.error for one in best] == errors[:4]
    left = sorted((one.worst.error for one in mistakes if one not in best), reverse=True)
    assert [one.worst.error for one in worst] == left[:4]
    few = best_and_worst(mistakes[:3], 4)
    assert len(few[0]) + len(few[1]) == 3 or not all(one.has_present for one in mistakes[:3])
    assert not {one.row for one in few[0]} & {one.row for one in few[1]}


def test_labels_are_counted_at_their_own_hour():
    def call(species, start_s):
        return Event(species, 1, start_s, start_s + 1, 0.0, 1e9, True, 1.0)

    moments = (datetime(2024, 1, 1, 23, 50), None, datetime(2024, 1, 2, 5))
    calls = ((call(0, 60.0), call(0, 1200.0)), (call(1, 0.0),), ())
    truth = np.array([[True, False, True], [False, True, False], [False, True, False]])
    reference = SimpleNamespace(moments=moments, calls=calls, truth=truth, known=truth)
    expected = {}
    for row, moment in enumerate(moments):
        if moment is not None:
            for one in calls[row]:
                hour = (moment + timedelta(seconds=one.start_s)).hour
                expected[one.species_id, hour] = expected.get((one.species_id, hour), 0) + 1
            for species in range(3):
                if truth[row, species] and species not in [one.species_id for one in calls[row]]:
                    expected[species, moment.hour] = expected.get((species, moment.hour), 0) + 1
    found = {(species, hour): n for species, hours in count_labels(reference).items() for hour, n in hours.items()}
    assert found == expected == {(0, 23): 1, (0, 0): 1, (2, 23): 1, (1, 5): 1}


def test_neighbors_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    vectors, rows = rng.normal(size=(40, 5)), rng.integers(0, 8, 40)
    groups = [f"g{n}" for n in rng.integers(0, 3, 40)]
    hits, chances = [], []
    for one in range(40):
        others = [n for n in range(40) if rows[n] != rows[one]]
        likeness = [
            vectors[one] @ vectors[n] / np.linalg.norm(vectors[one]) / np.linalg.norm(vectors[n]) for n in others
        ]
        hits.append(groups[others[int(np.argmax(likeness))]] == groups[one])
        chances.append(np.mean([groups[n] == groups[one] for n in others]))
    assert neighbor_share(vectors, groups, rows) == pytest.approx((np.mean(hits), np.mean(chances)))
    assert np.isnan(neighbor_share(vectors, groups, np.zeros(40, int))).all(), (
        "one recording has no neighbors elsewhere"
    )


def test_a_sample_is_of_recordings_that_say_something():
    reference, _ = made_up()
    telling = [row for row in range(30) if reference.known[row].any() or reference.boxes(None)[row]]
    rows = sample_rows(reference, 10, seed=1)
    assert rows == sorted(set(rows)) == sample_rows(reference, 10, seed=1) and len(rows) == 10
    assert set(rows) <= set(telling) and rows != sample_rows(reference, 10, seed=2)
    assert sample_rows(reference, 30, seed=1) == list(range(30))


@pytest.fixture
def run_of(tmp_path):
    def make(name, **config):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps({"config": config}))
        return RunFacts(folder / "model", None, None, None, [], folder)

    return make


def test_runs_that_do_not_say_what_to_judge_on(run_of, tmp_path):
    data = {"root": str(tmp_path)}
    bare = RunFacts(tmp_path, None, None, None, [])
    cases = {
        "x: no run folder tells": {"x": bare},
        "different data sets": {"a": run_of("a", data=data), "b": run_of("b", data={"root": str(tmp_path / "b")})},
        "is not there": {"c": run_of("c", data={"root": str(tmp_path / "gone")})},
        r"validated on different recordings \(d fold 0, e fold 1\)": {
            "d": run_of("d", data=data, fold=0),
            "e": run_of("e", data=data, fold=1),
        },
        "was trained on all of": {"f": run_of("f", data=data, fold=None)},
    }
    for rule, facts in cases.items():
        with pytest.raises(ConfigError, match=rf"{rule}.*give --labels ROOT"):
            reference_of_runs(facts)


def test_runs_of_one_fold_are_judged_on_its_validation_side(run_of, forest_of_labels):
    settings = {"root": str(forest_of_labels), "sample_rate_hz": 16_000, "crop_s": 1.0, "num_folds": 3}
    reference = reference_of_runs({"a": run_of("a", data=settings, fold=1)})
    assert reference.what == "validation side of fold 1 of 3" and 0 < len(reference.paths) < 12
    tested = settings | {"test_share": 0.3}
    reference = reference_of_runs({"b": run_of("b", data=tested, fold=1), "c": run_of("c", data=tested, fold=2)})
    assert reference.what.startswith("the test part")
