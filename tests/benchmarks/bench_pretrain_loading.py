"""Loading 10 s crops of 60 s recordings for pretraining: stock fairseq against seek reads.

    python tests/benchmarks/bench_pretrain_loading.py

Stock fairseq decodes the whole file for every crop and cannot resample. Ours reads the crop alone, from the same files
(prepared) or from the 48 kHz originals with resampling on the fly (virtual). First proves that both give the same
samples, then prints one JSON line per way: milliseconds per crop in one thread, crops per second, gain over stock.
"""

import json
import logging
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.manifest.virtual import SCHEMA, load_virtual, virtual_writer

warnings.filterwarnings("ignore")
logging.disable(logging.INFO)
NUM_RECORDINGS, LENGTH_S, CROP_S, RATE_HZ, SOURCE_HZ = 4, 60, 10, 32000, 48000


def write_recordings(folder: Path) -> None:
    """Noise with calls, as 48 kHz originals (virtual manifest) and 32 kHz files (prepared manifest)."""
    import pyarrow as pa

    rng = np.random.default_rng(0)
    rows, lines = [], [str(folder)]
    for rate in (SOURCE_HZ, RATE_HZ):
        for n in range(NUM_RECORDINGS):
            time_s = np.arange(LENGTH_S * rate) / rate
            calls = 0.2 * np.sin(2 * np.pi * 2500 * time_s) * (time_s % 1.5 < 0.3)
            name = f"{n}_{rate}.flac"
            noise = 0.02 * rng.standard_normal(time_s.size)
            write_flac(folder / name, (noise + calls).astype(np.float32), rate)
            if rate == SOURCE_HZ:
                rows.append((str(folder / name), 0, LENGTH_S * RATE_HZ, rate))
            else:
                lines.append(f"{name}\t{time_s.size}")
    (folder / "train.tsv").write_text("\n".join(lines) + "\n")
    with virtual_writer(folder / "train.parquet", sample_rate_hz=RATE_HZ, channel=None) as writer:
        columns = [pa.array(column) for column in zip(*rows, strict=True)]
        types = [pa.string(), pa.int64(), pa.int64(), pa.int32()]
        arrays = [column.cast(kind) for column, kind in zip(columns, types, strict=True)]
        arrays[0] = arrays[0].dictionary_encode()
        writer.write_batch(pa.record_batch(arrays, schema=SCHEMA))


def median_ms(work: Callable[[int], object], repeats: int = 40) -> float:
    """Median milliseconds of ``work(n)``, after a warm-up."""
    for n in range(NUM_RECORDINGS):
        work(n)
    taken = []
    for n in range(repeats):
        start = time.perf_counter()
        work(n % NUM_RECORDINGS)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def main() -> None:
    """Prove equality, then time."""
    from fairseq.data.audio.raw_audio_dataset import FileAudioDataset

    from rfcx_ssl.pretraining.plugin.crops import ManifestCropDataset

    torch.set_num_threads(1)
    crop = CROP_S * RATE_HZ
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recordings(folder)
        stock = FileAudioDataset(str(folder / "train.tsv"), RATE_HZ, max_sample_size=crop, normalize=False)
        prepared, virtual = (
            ManifestCropDataset(
                load_virtual(folder / f"train.{form}"),
                seed=1,
                max_sample_size=crop,
                min_sample_size=0,
                pad=False,
                normalize=False,
            )
            for form in ("tsv", "parquet")
        )
        for n in range(NUM_RECORDINGS):
            start = prepared.crop_start(n)
            torch.testing.assert_close(prepared[n]["source"], stock[n]["source"][start : start + crop], rtol=0, atol=0)
            whole = virtual.manifest.read_crop(n)[start : start + crop]
            torch.testing.assert_close(virtual[n]["source"], torch.from_numpy(whole), rtol=0, atol=2e-6)
        ways = {
            "stock: whole file, then crop": lambda n: stock.collater([stock[n]]),
            "prepared: seek read": lambda n: prepared.collater([prepared[n]]),
            "virtual: seek read and 48 to 32 kHz": lambda n: virtual.collater([virtual[n]]),
        }
        timings = {name: median_ms(work) for name, work in ways.items()}
    baseline = next(iter(timings.values()))
    for name, taken in timings.items():
        row = {"name": name, "crop_s": CROP_S, "file_s": LENGTH_S, "ms_per_crop": round(taken, 2)}
        print(json.dumps(row | {"crops_per_s": round(1e3 / taken, 1), "gain": round(baseline / taken, 2)}))


if __name__ == "__main__":
    main()
