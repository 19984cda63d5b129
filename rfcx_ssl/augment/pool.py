"""Pools of background audio: written once, read at random places.

A pool is a folder with `samples.npy` (int16, mono, one long row) and `pool.json` (its sample rate, its sources). It is
read by random pieces, so pieces are short and come from many files: long enough for one crop, equally many per file.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.audio import audio_info, read_audio, resampled_samples, to_int16
from rfcx_ssl.audio.find import find_audio
from rfcx_ssl.errors import AudioError, ConfigError
from rfcx_ssl.files import atomic_path, write_text


def load_pool(folder: Path, sample_rate_hz: int) -> Tensor:
    """(P,) int16 samples of a pool, memory-mapped copy-on-write.

    Raises:
        ConfigError: the folder holds no pool, or one of another sample rate.
    """
    try:
        about = json.loads((folder / "pool.json").read_text(encoding="utf-8"))
        samples = np.load(folder / "samples.npy", mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"augment.background.pool={folder}: not a background pool ({error})") from None
    if about.get("sample_rate_hz") != sample_rate_hz:
        raise ConfigError(
            f"augment.background.pool={folder}: recorded at {about.get('sample_rate_hz')} Hz, needs {sample_rate_hz} Hz"
        )
    if samples.dtype != np.int16 or samples.ndim != 1 or samples.size == 0:
        raise ConfigError(
            f"augment.background.pool={folder}: samples.npy must be one row of int16, is "
            f"{samples.dtype} of shape {samples.shape}"
        )
    return torch.from_numpy(samples)


def write_pool(
    folder: Path, sources: Sequence[Path], sample_rate_hz: int, total_s: float, piece_s: float = 10.0, seed: int = 0
) -> None:
    """Fill ``folder`` with ``total_s`` seconds of random pieces from audio files and folders of them.

    Raises:
        AudioError: there is no audio among the sources, or a file cannot be read.
        ConfigError: the folder already exists.
    """
    files = sorted(file for source in sources for file in _audio_files(source))
    if not files:
        raise AudioError(f"no audio files in {', '.join(map(str, sources))}")
    if folder.exists():
        raise ConfigError(f"{folder} exists already; choose another folder")
    rng = np.random.default_rng(seed)
    pieces = max(1, round(total_s / piece_s))
    order = [files[index % len(files)] for index in range(pieces)]
    samples = np.concatenate([_random_piece(path, piece_s, sample_rate_hz, rng) for path in order])
    folder.mkdir(parents=True)
    with atomic_path(folder / "samples.npy") as temporary, temporary.open("wb") as file:
        np.save(file, samples)
    about = {"sample_rate_hz": sample_rate_hz, "piece_s": piece_s, "seed": seed, "files": sorted({*map(str, order)})}
    write_text(folder / "pool.json", json.dumps(about, indent=1))


def _audio_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    return list(find_audio(source))


def _random_piece(path: Path, piece_s: float, sample_rate_hz: int, rng: np.random.Generator) -> NDArray[np.int16]:
    info = audio_info(path)
    total = resampled_samples(info.frames, info.sample_rate_hz, sample_rate_hz)
    length = min(total, round(piece_s * sample_rate_hz))
    start = int(rng.integers(total - length + 1))
    return to_int16(read_audio(path, start_samples=start, num_samples=length, sample_rate_hz=sample_rate_hz))
