"""Events of all candidates at once against decoding them one by one and matching in loops."""

from itertools import product

import numpy as np
import pytest

from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import make_decoder
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics.events import merge_calls
from rfcx_ssl.tuning.calls import count_calls, match
from rfcx_ssl.tuning.evidence import Timed
from rfcx_ssl.tuning.groups import Groups

GRID = FrameGrid(100, 5)  # frames of 50 ms


def slow_match(events, calls):
    """Calls found and false alarms of one candidate."""
    right = [e for e in events if sum(shared(e, c) for c in calls) >= 0.5 * (e[1] - e[0]) - 1e-9]
    found = [c for c in calls if sum(shared(e, c) for e in right) >= 0.5 * (c[1] - c[0]) - 1e-9]
    return len(found), len(events) - len(right)


def shared(event, call):
    return max(0.0, min(event[1], call[1]) - max(event[0], call[0]))


@pytest.mark.parametrize(
    ("events", "calls", "found", "false"),
    [
        ([(1, 2)], [(1, 2)], 1, 0),
        ([(1, 2)], [(1.5, 3)], 0, 0),  # right, but it covers a third of the call
        ([(0, 10)], [(1, 2)], 0, 1),  # an event that never ends is a false alarm
        ([(1, 1.6), (1.7, 2)], [(1, 2)], 1, 0),  # two pieces of a call
        ([(0, 4)], [(0, 1.5), (2, 3.5)], 2, 0),  # two calls in one event
        ([], [(1, 2)], 0, 0),
        ([(1, 2)], [], 0, 1),
    ],
)
def test_what_is_right_found_and_false(events, calls, found, false):
    spans, marks = np.array(events, float).reshape(-1, 2), np.array(calls, float).reshape(-1, 2)
    assert match(spans, np.zeros(len(events), np.int64), marks, 1).tolist() == [[found], [false]]


@pytest.fixture(scope="module")
def timed():
    rng = np.random.default_rng(0)
    frames, calls = {}, {}
    for recording in range(5):
        noise = rng.random((80, 2)).astype(np.float32) * 0.6
        own = []
        for species in range(2):
            for start_s in rng.uniform(0, 3.5, recording):  # none in the first
                own.append((start_s, start_s + 0.4, species))
                noise[round(start_s * 20) : round(start_s * 20) + 8, species] += 0.3
        frames[recording], calls[recording] = np.clip(noise, 0, 1), merge_calls(own, 3.97)
    return Timed(frames, calls, dict.fromkeys(frames, 3.97), GRID)


@pytest.mark.parametrize(
    ("decoder", "shapes"),
    [
        ("hysteresis", {"median_s": (0.1, 0.0, 0.25), "min_duration_s": (0.1, 0.3)}),
        (
            "change_point",
            {
                "step_filter_s": (0.5, 0.2),
                "merge_absolute": (0.2, 0.05),
                "merge_relative": (2.0, 1.2),
                "min_duration_s": (0.1, 0.3),
            },
        ),
    ],
)
def test_counts_equal_decoding_candidates_one_by_one(timed, decoder, shapes):
    thresholds, groups = [0.8, 0.6, 0.4], Groups(np.array([0, 1, 2, 0, 1]), 3, "recordings")
    tallies = count_calls(timed, 2, groups, decoder, thresholds, shapes)
    column = 0
    for *shape, threshold in product(*shapes.values(), thresholds):
        values = dict(zip(shapes, shape, strict=True))
        chosen = decide(("a", "b"), decoder=decoder, threshold=threshold, **values)
        counts = np.zeros((2, 2, 3), np.int64)
        for recording, frames in timed.frames.items():
            one = make_decoder(chosen, GRID)
            found = [*one.push(frames), *one.finish()]
            for species in range(2):
                spans = [(e.start * 0.05, min(e.end * 0.05, 3.97)) for e in found if e.species == species]
                mine = [call[:2] for call in timed.calls[recording] if call[2] == species]
                counts[species, :, groups.of_recording[recording]] += slow_match(spans, mine)
        for species, tally in enumerate(tallies):
            np.testing.assert_array_equal(tally.hits[:, column], counts[species, 0])
            np.testing.assert_array_equal(tally.false[:, column], counts[species, 1])
        column += 1
    assert tallies[0].hits.shape == (3, column) and tallies[0].hits.any() and tallies[0].false.any()
    blocks = np.stack([part.reshape(3, -1, 3) for tally in tallies for part in (tally.hits, tally.false)])
    assert len({blocks[:, :, block].tobytes() for block in range(column // 3)}) > 3, "what is tried makes a difference"
    mine = [sum(call[2] == 0 for call in timed.calls[r]) for r in range(5)]
    assert tallies[0].there.tolist() == [mine[0] + mine[3], mine[1] + mine[4], mine[2]]
    np.testing.assert_allclose(tallies[0].hours * 3600, [7.94, 7.94, 3.97])


def test_every_second_is_a_cell(timed):
    cells = timed.seconds
    assert len(cells.scores) == 5 * 2 * 4
    for place in range(len(cells.scores)):
        recording, species = cells.recording[place], cells.species[place]
        same = [i for i in range(place) if cells.recording[i] == recording and cells.species[i] == species]
        second = len(same)
        frames = timed.frames[recording][second * 20 : (second + 1) * 20, species]
        assert cells.scores[place] == pytest.approx(frames.max())
        touched = set()
        for start_s, end_s, own in timed.calls[recording]:
            if own == species:
                touched |= set(range(int(start_s / 0.05 + 1e-9), int(np.ceil(end_s / 0.05 - 1e-9))))
        assert cells.present[place] == bool(touched & set(range(second * 20, (second + 1) * 20)))
