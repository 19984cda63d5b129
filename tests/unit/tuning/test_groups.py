"""Groups keep sites whole, differ little in size, and never depend on chance."""

import numpy as np
import pytest

from rfcx_ssl.tuning.groups import make_groups


def test_sites_are_never_split_where_there_are_enough():
    sites = [f"s{number % 7}" for number in range(50)]
    groups = make_groups([f"r{number}" for number in range(50)], sites)
    assert groups.what == "sites" and groups.count == 7
    for site in set(sites):
        assert len({groups.of_recording[row] for row in range(50) if sites[row] == site}) == 1


@pytest.mark.parametrize(
    "sites", [[None] * 33, ["a", "b", "c"] * 11, [*["a", "b", "c", "d", "e"] * 6, None, "a", "b"]]
)
def test_else_recordings_are_dealt_evenly(sites):
    names = [f"r{number:02d}" for number in range(33)]
    groups = make_groups(names, sites)
    assert groups.what == "recordings" and sorted(np.bincount(groups.of_recording)) == [3] * 7 + [4] * 3
    order = np.random.default_rng(0).permutation(33)
    again = make_groups([names[row] for row in order], [sites[row] for row in order])
    if sites[0] is None or None not in sites:
        assert (again.of_recording == groups.of_recording[order]).all()


def test_a_recording_that_is_there_twice_stays_together():
    groups = make_groups(["a", "b", "a"], [None] * 3)
    assert groups.count == 2 and groups.of_recording[0] == groups.of_recording[2] != groups.of_recording[1]
