"""Milliseconds per training crop: decoding the whole file, reading only the crop, and the memory-mapped cache.

Usage: python tests/benchmarks/bench_crops.py [AUDIO_FILE]  (default: a minute of pink noise as 48 kHz FLAC)

Each way is first shown to give the same crop.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import Timer

from rfcx_ssl.annotations.layout import BOX_COLUMNS
from rfcx_ssl.audio import audio_info, read_audio, write_flac
from rfcx_ssl.data import CropDataset, DataSettings, load_corpus
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(32_000, 640)


def corpora(audio, root):
    """The same corpus of 12 copies of one file, read directly and through the cache."""
    (root / "train").mkdir()
    last = audio_info(audio).duration_s - 2
    rows = []
    for i in range(12):
        (root / "train" / f"r{i:02d}{audio.suffix}").symlink_to(audio.resolve())
        rows.append(f"r{i:02d},{i},1,{last * i / 12:.2f},100,{last * i / 12 + 1:.2f},200")
    for name in ("train_tp.csv", "train_fp.csv"):
        (root / name).write_text("\n".join([",".join(BOX_COLUMNS), *rows]) + "\n")
    return [load_corpus(DataSettings(root=root, cache=cache)) for cache in (False, True)]


def write_minute(path):
    """Pink noise, which FLAC packs about as well as a forest."""
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=60 * 48_000))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum).astype(np.float32)
    write_flac(path, 0.3 * noise / np.abs(noise).max(), 48_000)
    return path


def main():
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as own:
        audio = Path(sys.argv[1]) if len(sys.argv) > 1 else write_minute(Path(own) / "noise.flac")
        direct, cached = (CropDataset(corpus, None, GRID) for corpus in corpora(audio, Path(folder)))
        for i in range(len(direct)):
            start, name = direct.start_samples(i), direct.anchor(i).recording_id
            whole = read_audio(direct.corpus.recording_of[name].path, sample_rate_hz=32_000)[start : start + 160_000]
            np.testing.assert_allclose(direct[i].waveform, whole, atol=1e-4)
            np.testing.assert_allclose(cached[i].waveform, whole, atol=1e-4)
        path = next(iter(direct.corpus.recording_of.values())).path
        ways = {
            "decode the whole file": lambda: read_audio(path, sample_rate_hz=32_000),
            "read the crop, labels included": lambda: [direct[i] for i in range(len(direct))],
            "cached crop, labels included": lambda: [cached[i] for i in range(len(cached))],
            "labels alone": lambda: direct.corpus.frame_labels("r05", GRID, 0, 160_000),
        }
        for name, way in ways.items():
            timing = Timer("way()", globals={"way": way}).blocked_autorange(min_run_time=1.0)
            per_crop = 1 if name.startswith("decode") or name.startswith("labels") else len(direct)
            print(
                json.dumps(
                    {"name": name, "median_ms": 1e3 * timing.median / per_crop, "iqr_ms": 1e3 * timing.iqr / per_crop}
                )
            )


if __name__ == "__main__":
    main()
