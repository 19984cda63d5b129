"""Frames come back as they were written, recording by recording."""

import numpy as np
import pytest

from rfcx_ssl.detection.writers import frames as module
from rfcx_ssl.detection.writers import open_tables
from rfcx_ssl.detection.writers.frames import FrameScores, read_frames
from rfcx_ssl.errors import RfcxError

SPECIES = ("x", "ý", "z")


def write(folder, kind, results):
    for writer in open_tables(folder, SPECIES, formats=(), saves=(kind,), window_s=5.0, frame_s=0.01):
        with writer:
            for result in results:
                writer.add(result)


@pytest.fixture
def results(result_of):
    rng = np.random.default_rng(0)
    sizes = {"a": 5, "ü/b": 1, "none": 0, "longer": 41, "as long as a file": 8}
    frames = {name: rng.random((length, 3)).astype(np.float16) for name, length in sizes.items()}
    heard = [result_of(name, start_s=1.5, arrays={"frames": scores}) for name, scores in frames.items()]
    return [*heard, result_of("unheard", clip=None)]


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("kind", "name"), [("frames", "frames.parquet"), ("frames_zarr", "frames.zarr")])
def test_frames_come_back(tmp_path, results, kind, name, monkeypatch):
    if kind == "frames_zarr":
        pytest.importorskip("zarr")
        for key, value in (("CHUNK_BYTES", 24), ("SHARD_CHUNKS", 2), ("CHUNK_ROWS", 2)):  # 4 frames, 8 in a file
            monkeypatch.setattr(module, key, value)
    write(tmp_path, kind, results)
    read = list(read_frames(tmp_path / name))
    for found, expected in zip(read, results[:-1], strict=True):
        assert found[:4] == FrameScores(expected.recording, 0.01, 1.5, SPECIES, None)[:4]
        assert found.scores.dtype == np.float16
        np.testing.assert_array_equal(found.scores, expected.arrays["frames"])


def test_zarr_has_equal_bytes_files_of_a_shard_and_replaces_what_is_there(tmp_path, results, monkeypatch):
    zarr = pytest.importorskip("zarr")
    monkeypatch.setattr(module, "CHUNK_BYTES", 24)
    monkeypatch.setattr(module, "SHARD_CHUNKS", 2)
    write(tmp_path / "one", "frames_zarr", results)
    write(tmp_path / "two", "frames_zarr", results[:2])
    write(tmp_path / "two", "frames_zarr", results)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    group = zarr.open_group(tmp_path / "one" / "frames.zarr", mode="r")
    assert group.metadata.zarr_format == 3 and dict(group.attrs) == {"frame_s": 0.01, "species": list(SPECIES)}
    assert group["scores"].shape == (55, 3)
    shards = [path for path in (tmp_path / "one" / "frames.zarr" / "scores" / "c").rglob("*") if path.is_file()]
    assert len(shards) == 7  # 55 frames, eight in each


def test_an_error_leaves_the_earlier_frames(tmp_path, results):
    pytest.importorskip("zarr")
    write(tmp_path, "frames_zarr", results)
    folder = tmp_path / "frames.zarr"
    before = files(folder)

    def fails():
        yield results[0]
        raise RfcxError("no more")

    with pytest.raises(RfcxError, match="no more"):
        write(tmp_path, "frames_zarr", fails())
    assert files(folder) == before and not list(tmp_path.glob(".*.tmp"))
