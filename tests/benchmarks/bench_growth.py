"""How cost grows with work: files, boxes, length of a recording, species, rows of a pretraining manifest.

Usage: python tests/benchmarks/bench_growth.py [--large] [--only files boxes minutes species rows]

Every measurement is a process of its own, forked after the imports: CPU seconds of it (not the clock's: other programs may run), and the
memory that it needed beyond what it began with (VmHWM less VmRSS). Then the exponent b of cost = a * work ** b, by least squares of
the logarithms over the three largest sizes: 1 is linear. ``--large`` adds the last size of each. Prints JSON lines.
"""

import argparse
import json
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch

from rfcx_ssl.annotations import find_conflicts
from rfcx_ssl.annotations.layout import BOX_COLUMNS
from rfcx_ssl.annotations.spans import fit_to_recordings
from rfcx_ssl.data import DataSettings
from rfcx_ssl.data.corpus import load_tables
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import RecordingDecoder
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.files import write_csv
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, RecordingStream
from rfcx_ssl.inference.scorer import WindowScores
from rfcx_ssl.inference.windows import Windows
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.manifest.state import open_state
from rfcx_ssl.manifest.virtual import SCHEMA, load_virtual, virtual_writer
from rfcx_ssl.metrics import average_precision, lwlrap, roc_auc
from rfcx_ssl.species import label_space, read_species, rfcx_species

GRID = FrameGrid(32_000, 640)
SMALL = FrameGrid(4_000, 80)  # so that hours of samples are cheap; as many frames
Step = tuple[str, Callable[[], object]]


def files(count: int, folder: Path) -> Iterator[Step]:
    """The list of recordings of ``rfcx-ssl detect`` and the state of a manifest: first run, and one that finds nothing new."""
    recordings = [Recording(f"site/{i:07d}", f"/card/site/{i:07d}.wav", size=1, changed="1") for i in range(count)]
    with Listing(folder / "listing.sqlite") as listing:
        yield "detect: list new files", lambda: listing.update(recordings)
        yield "detect: list known files", lambda: listing.update(recordings)
        yield "detect: read the list", lambda: sum(1 for _ in listing)
    found = [Found(f"site/{i:07d}.wav", f"/card/site/{i:07d}.wav", 1, 1) for i in range(count)]
    with open_state(folder) as state:
        yield "manifest: see new files", lambda: state.see(found)
        yield "manifest: see known files", lambda: state.see(found)
        yield "manifest: pages", lambda: sum(1 for _ in state.without_header("key"))


def boxes(count: int, folder: Path) -> Iterator[Step]:
    """Label tables of ten boxes a recording: to read, to compare, to turn into targets of one 5 s crop of each."""
    rng, num_recordings = np.random.default_rng(0), max(count // 10, 10)
    start = rng.uniform(0, 55, count).round(3)
    columns = [
        np.char.add("r", rng.integers(num_recordings, size=count).astype(str)), rng.integers(24, size=count), np.ones(count, int),
        start, np.full(count, 1000), (start + rng.uniform(0.3, 4, count)).round(3), np.full(count, 2000),
    ]  # fmt: skip
    pd.DataFrame(dict(zip(BOX_COLUMNS, columns, strict=True))).to_csv(folder / "train_tp.csv", index=False)
    write_csv(folder / "species.csv", ["name"], [[f"Species {i}"] for i in range(24)])
    settings = DataSettings(root=folder, species_file=folder / "species.csv")
    tables = load_tables(settings)
    space = label_space(read_species(folder / "species.csv"))

    def targets() -> None:
        annotations = fit_to_recordings(tables.annotations, dict.fromkeys(tables.annotations.recording_ids, 60.0))
        for name in annotations.recording_ids:
            frame_labels(annotations.events(name), GRID, space, start_s=20.0, num_frames=250)

    yield "read tables, deal folds", lambda: load_tables(settings)
    yield "boxes that meet", lambda: find_conflicts(tables.annotations)
    yield "targets", targets


class Noise:
    """A scorer that knows nothing: the same random frames for every window."""

    name, embedding_dim, grid, windows = "", 1, SMALL, Windows(10.0, 0.5, "mean")
    device, train_prevalence = torch.device("cpu"), None
    species = rfcx_species()
    frame = torch.rand(1, 500, 24, generator=torch.Generator().manual_seed(0))

    def __call__(self, waveform: torch.Tensor) -> WindowScores:
        """Scores of windows (B, N)."""
        frame = self.frame[:, : self.grid.num_frames(waveform.shape[1])].expand(len(waveform), -1, -1)
        return WindowScores(frame, frame.amax(dim=1), torch.zeros(len(waveform), 1))


def minutes(count: int, folder: Path) -> Iterator[Step]:
    """From blocks of 30 s through windows to events, one recording."""
    block = torch.rand(30 * SMALL.sample_rate_hz) - 0.5

    def hear() -> None:
        batches = Batches(Noise(), 8)
        stream = RecordingStream(batches)
        decoder = RecordingDecoder(decide([f"s{i}" for i in range(24)]), DecodeSettings(), SMALL)
        for _ in range(2 * count):
            stream.push(block)
            if piece := stream.ready():
                decoder.push(piece.frame.numpy(), piece.clip.numpy())
        stream.end()
        batches.flush()
        if piece := stream.ready():
            decoder.push(piece.frame.numpy(), piece.clip.numpy())
        decoder.finish()

    yield "windows to events", hear


def species(count: int, folder: Path) -> Iterator[Step]:
    """Metrics of 300 recordings, and the decoding of one of a minute."""
    rng = np.random.default_rng(0)
    truth, scores = rng.random((300, count)) < 0.05, rng.random((300, count))
    frames = rng.random((3_000, count), dtype=np.float32)
    names = [f"s{i}" for i in range(count)]

    def decode(kind: str) -> None:
        decoder = RecordingDecoder(decide(names, decoder=kind), DecodeSettings(), GRID)  # type: ignore[arg-type]
        decoder.push(frames, frames[0])
        decoder.finish()

    yield "lwlrap", lambda: lwlrap(truth, scores)
    yield "average precision", lambda: average_precision(truth, scores)
    yield "ROC-AUC", lambda: roc_auc(truth, scores)
    yield "decoding, hysteresis", lambda: decode("hysteresis")
    yield "decoding, change points", lambda: decode("change_point")


def rows(count: int, folder: Path) -> Iterator[Step]:
    """A virtual manifest of so many segments, forty a recording: to read, and the order of an epoch. No audio."""
    from rfcx_ssl.pretraining.plugin.crops import ManifestCropDataset

    path, piece = folder / "train.parquet", min(count, 1_000_000)
    with virtual_writer(path, sample_rate_hz=32_000, channel=None) as writer:
        for first in range(0, count, piece):
            index = np.arange(first, first + piece)
            paths = pa.array(np.char.add("/card/", (index // 40).astype(str))).dictionary_encode()
            cells = [paths, index % 40 * 480_000, np.full(piece, 480_000), np.full(piece, 32_000, np.int32)]
            writer.write_batch(pa.record_batch([pa.array(cell) for cell in cells], schema=SCHEMA))
    manifest = load_virtual(path)

    def dataset() -> ManifestCropDataset:
        return ManifestCropDataset(
            manifest, seed=1, max_sample_size=250_000, min_sample_size=32_000, pad=False, normalize=False
        )

    crops = dataset()
    yield "read the manifest", lambda: load_virtual(path)
    yield "data set of crops", dataset
    yield "order of an epoch", lambda: crops.ordered_indices()
    yield "a thousand crop starts", lambda: [crops.crop_start(i) for i in range(1000)]


SIZES = {
    files: (100, 1_000, 10_000, 100_000),
    boxes: (1_000, 10_000, 100_000, 1_000_000),
    minutes: (1, 10, 60, 240),
    species: (24, 100, 300, 1_000, 3_000),
    rows: (10_000, 100_000, 1_000_000, 10_000_000),
}


def memory_kib(name: str) -> int:
    """A line of this process's status: VmRSS, VmHWM."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measured(kind: Callable[[int, Path], Iterator[Step]], count: int, queue: "multiprocessing.Queue[object]") -> None:
    """In a child: CPU seconds of every step, and what all of them together needed."""
    before = memory_kib("VmRSS")
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, step in kind(count, Path(folder)):
            started = time.process_time()
            step()
            seconds[name] = time.process_time() - started
    queue.put((seconds, (memory_kib("VmHWM") - before) / 1024))


def exponent(work: list[int], cost: list[float]) -> float:
    """The slope of log cost over log work at the three largest sizes."""
    slope, _ = np.polyfit(np.log(work[-3:]), np.log(np.maximum(cost[-3:], 1e-6)), 1)
    return round(float(slope), 2)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="the last size of each kind, too")
    parser.add_argument(
        "--only", nargs="+", default=[kind.__name__ for kind in SIZES], choices=[kind.__name__ for kind in SIZES]
    )
    args = parser.parse_args()
    fork = multiprocessing.get_context("fork")
    torch.set_num_threads(1)
    logging.getLogger("rfcx_ssl").setLevel(logging.ERROR)
    for kind, all_sizes in SIZES.items():
        if kind.__name__ not in args.only:
            continue
        sizes = list(all_sizes if args.large else all_sizes[:-1])
        costs: dict[str, list[float]] = {}
        peaks = []
        for count in sizes:
            queue: multiprocessing.Queue[object] = fork.Queue()
            child = fork.Process(target=measured, args=(kind, count, queue))
            child.start()
            seconds, peak = queue.get()  # type: ignore[misc]
            child.join()
            peaks.append(peak)
            for name, value in seconds.items():
                costs.setdefault(name, []).append(value)
            shown = {name: round(value, 4) for name, value in seconds.items()}
            print(
                json.dumps({"work": kind.__name__, "count": count, "cpu_s": shown, "peak_mib": round(peak, 1)}),
                flush=True,
            )
        found = {name: exponent(sizes, values) for name, values in costs.items()}
        print(json.dumps({"work": kind.__name__, "exponents": found, "of_memory": exponent(sizes, peaks)}), flush=True)


if __name__ == "__main__":
    main()
