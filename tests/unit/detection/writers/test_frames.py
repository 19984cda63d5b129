"""Frames come back as they were written, recording by recording."""

import numpy as np

from rfcx_ssl.detection.writers import open_tables
from rfcx_ssl.detection.writers.frames import read_frames


def test_frames_come_back(tmp_path, result_of):
    rng = np.random.default_rng(0)
    frames = {name: rng.random((length, 3)).astype(np.float16) for name, length in (("a", 5), ("ü/b", 1), ("none", 0))}
    results = [result_of(name, start_s=1.5, arrays={"frames": scores}) for name, scores in frames.items()]
    species = ("x", "ý", "z")
    for writer in open_tables(tmp_path, species, formats=(), saves=("frames",), window_s=5.0, frame_s=0.01):
        with writer:
            for result in [*results, result_of("unheard", clip=None)]:
                writer.add(result)
    read = list(read_frames(tmp_path / "frames.parquet"))
    assert [(r.recording, r.frame_s, r.start_s, r.species) for r in read] == [(n, 0.01, 1.5, species) for n in frames]
    for found, expected in zip(read, frames.values(), strict=True):
        assert found.scores.dtype == np.float16
        np.testing.assert_array_equal(found.scores, expected)
