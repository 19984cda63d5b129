"""Results survive the journal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.decoding.detections import make_detection
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.rows import join_rows, read_rows, write_rows
from rfcx_ssl.species import rfcx_species

SPECIES = rfcx_species()
MS = st.integers(0, 86_400_000).map(lambda ms: ms / 1000)
FLOAT32 = st.floats(0, 1, width=32)


@st.composite
def results(draw, index):
    name = draw(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
    heard = draw(st.booleans())
    events = draw(st.lists(st.tuples(st.integers(0, 23), FLOAT32, MS, MS), max_size=3)) if heard else []
    return Result(
        index=index,
        recording=name,
        path=f"/card/{name}.wav",
        start_s=draw(MS),
        heard_s=draw(MS) if heard else 0.0,
        sample_rate_hz=draw(st.sampled_from([0, 48_000])),
        recorded_at=draw(st.sampled_from([None, "2023-04-15T05:30:00"])),
        problem=None if heard else "it is broken",
        warnings=tuple(draw(st.lists(st.text(st.characters(exclude_categories=("Cs",)))))),
        clip=np.array(draw(st.lists(FLOAT32, min_size=24, max_size=24)), np.float32) if heard else None,
        events=[make_detection(name, SPECIES, species, score, a, b) for species, score, a, b in events],
        unreachable=draw(st.booleans()),
    )


def same(left, right):
    assert replace(left, clip=None, arrays={}) == replace(right, clip=None, arrays={})
    np.testing.assert_equal(left.clip, right.clip)
    assert left.arrays.keys() == right.arrays.keys()
    for name, values in left.arrays.items():
        assert values.dtype == right.arrays[name].dtype
        np.testing.assert_array_equal(values, right.arrays[name])


@given(st.lists(st.integers(0, 2**40), max_size=4).flatmap(lambda places: st.tuples(*map(results, places))))
def test_rows_come_back_as_they_were(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("rows") / "a.parquet"
    write_rows(rows, path)
    for before, after in zip(rows, read_rows(path, SPECIES), strict=True):
        same(before, after)


def quiet(index, **arrays):
    return Result(
        index, f"r{index}", "p", 0.0, 1.0, 8_000, None, None, (), np.zeros(24, np.float32), [], False, arrays
    )


@pytest.mark.parametrize("windows", [1, 3])
def test_arrays_come_back_in_their_shapes(tmp_path, windows):
    rng = np.random.default_rng(windows)
    before = quiet(
        7,
        frames=rng.random((10 * windows, 24)).astype(np.float16),
        highest=rng.random((5, 24), dtype=np.float32),
        windows_s=rng.random(windows),
        window_scores=rng.random((windows, 24)).astype(np.float32),
        embeddings=rng.random((windows, 5)).astype(np.float32),
    )
    write_rows([before], tmp_path / "a.parquet")
    (after,) = read_rows(tmp_path / "a.parquet", SPECIES)
    same(before, after)


def test_joined_files_hold_the_rows_in_order_and_one_group_each(tmp_path):
    paths = [tmp_path / f"{number}.parquet" for number in range(3)]
    for number, path in enumerate(paths):
        write_rows([quiet(2 * number), quiet(2 * number + 1)], path)
    join_rows(paths, tmp_path / "all.parquet")
    assert [row.index for row in read_rows(tmp_path / "all.parquet", SPECIES)] == list(range(6))
    assert pq.ParquetFile(tmp_path / "all.parquet").num_row_groups == 3


def test_equal_results_make_equal_bytes(tmp_path):
    for name in "ab":
        write_rows([quiet(0, frames=np.ones((4, 24), np.float16))], tmp_path / name)
    assert Path(tmp_path / "a").read_bytes() == Path(tmp_path / "b").read_bytes()


def test_names_that_are_no_unicode_are_kept_with_escapes(tmp_path):
    path = "/card/\udce9.wav"
    write_rows([replace(quiet(0), path=path, problem=f"{path}: broken", warnings=(path,))], tmp_path / "a")
    (found,) = read_rows(tmp_path / "a", SPECIES)
    escaped = "/card/\\udce9.wav"
    assert (found.path, found.problem, found.warnings) == (escaped, f"{escaped}: broken", (escaped,))
