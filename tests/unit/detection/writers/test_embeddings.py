"""Embeddings of windows, as Parquet and as NumPy's archive: the same vectors, times and names."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from rfcx_ssl.detection.writers import embeddings, open_tables

NAMES = ("a", "ü/🐦 long name", "quiet", "z")


def write(folder, results):
    saves = ("embeddings", "embeddings_npz")
    for writer in open_tables(folder, ("x",), formats=(), saves=saves, window_s=5.0, frame_s=0.01):
        with writer:
            for result in results:
                writer.add(result)


@pytest.fixture
def results(result_of):
    rng = np.random.default_rng(0)
    made = []
    for place, name in enumerate(NAMES):
        windows = 0 if name == "quiet" else place + 2
        arrays = {"windows_s": np.arange(windows) * 2.5, "embeddings": rng.random((windows, 4)).astype(np.float32)}
        made.append(result_of(name, heard_s=7.0, arrays=arrays))
    return [*made, result_of("without")]


def test_both_files_hold_every_window(tmp_path, results, monkeypatch):
    monkeypatch.setattr(embeddings, "_COPY_BYTES", 32)  # several pieces
    write(tmp_path, results)
    expected = [
        (r.recording, s, min(s + 5.0, 7.0), v)
        for r in results[:-1]
        for s, v in zip(r.arrays["windows_s"], r.arrays["embeddings"], strict=True)
    ]
    table = pq.read_table(tmp_path / "embeddings.parquet").to_pylist()
    with np.load(tmp_path / "embeddings.npz", allow_pickle=False) as saved:
        names = saved["recording"][saved["recording_index"]]
        assert saved["recording"].tolist() == ["a", "ü/🐦 long name", "z"]
        assert saved["vector"].dtype == np.float32 and saved["vector"].shape == (len(expected), 4)
        for place, (name, start_s, end_s, vector) in enumerate(expected):
            row = table[place]
            assert (row["recording"], row["start_s"], row["end_s"]) == (name, start_s, end_s)
            assert (names[place], saved["start_s"][place], saved["end_s"][place]) == (name, start_s, end_s)
            np.testing.assert_array_equal(saved["vector"][place], vector)
            np.testing.assert_array_equal(np.float32(row["vector"]), vector)
    assert len(table) == len(expected)
    assert {path.name for path in tmp_path.iterdir()} == {"embeddings.parquet", "embeddings.npz", "scores.csv"}


def test_equal_results_make_equal_files_and_none_make_empty_ones(tmp_path, results):
    for name in ("one", "two"):
        write(tmp_path / name, results)
    first, second = ((tmp_path / name / "embeddings.npz").read_bytes() for name in ("one", "two"))
    assert first == second
    write(tmp_path, [])
    with np.load(tmp_path / "embeddings.npz") as saved:
        assert saved["vector"].shape == (0, 0) and len(saved["recording"]) == 0


def test_an_interrupted_archive_leaves_nothing(tmp_path, results):
    writer = embeddings.EmbeddingNpz(tmp_path / "embeddings.npz", 5.0)
    with pytest.raises(KeyboardInterrupt), writer:
        writer.add(results[0])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
