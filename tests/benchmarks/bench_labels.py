"""Many species and boxes: seconds to read tables and deal folds, and what the labels of a crop cost beside 24 species.

Usage: python tests/benchmarks/bench_labels.py  (300 species, 50,000 boxes and tags, 5,000 recordings; no audio)

The numbers of boxes that meet are printed with the seconds that it took to find them.
"""

import dataclasses
import json
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
from torch.utils.benchmark import Timer

from rfcx_ssl.annotations import find_conflicts
from rfcx_ssl.annotations.layout import BOX_COLUMNS
from rfcx_ssl.annotations.spans import fit_to_recordings
from rfcx_ssl.data import DataSettings
from rfcx_ssl.data.anchors import make_decks
from rfcx_ssl.data.corpus import Corpus, load_tables
from rfcx_ssl.data.recordings import Recording
from rfcx_ssl.files import write_csv
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.species import label_space, read_species

RECORDINGS, BOXES, DURATION_S = 5000, 50_000, 60.0
GRID, CROP = FrameGrid(32_000, 640), 160_000


def write_tables(root, num_species, rng):
    """Present boxes, tags of whole minutes and absent boxes; a tenth of the recordings is complete, in part or whole."""
    names = [f"Species {i}" for i in range(num_species)]
    write_csv(root / "species.csv", ["name"], [[name] for name in names])
    starts = rng.uniform(0, DURATION_S - 5, BOXES).round(3)
    rows = [
        [f"r{rng.integers(RECORDINGS):04d}", rng.integers(num_species), 1, start, 1000, round(start + length, 3), 2000,
         state, "no"]
        for start, length, state in zip(starts, rng.uniform(0.3, 4, BOXES), np.where(rng.random(BOXES) < 0.3, "present", "absent"), strict=True)
    ]  # fmt: skip
    for row in rows[:: BOXES // 1000]:  # a thousand tags
        row[3], row[5], row[7:] = 0.0, DURATION_S, ["present", "yes"]
    write_csv(root / "train_tp.csv", [*BOX_COLUMNS, "state", "weak"], rows)
    (root / "complete.txt").write_text("".join(f"r{i:04d}\n" for i in range(0, RECORDINGS, 10)))
    return DataSettings(root=root, species_file=root / "species.csv", complete_file=root / "complete.txt")


def loaded(settings):
    """The corpus without audio; prints the seconds that each step took."""
    seconds = {}

    def timed(name, step):
        start = time.perf_counter()
        result = step()
        seconds[name] = round(time.perf_counter() - start, 2)
        return result

    annotations, folds, *_ = timed("tables and folds", lambda: load_tables(settings))
    met = timed("boxes that meet", lambda: find_conflicts(annotations))
    space = label_space(read_species(settings.species_file))
    timed("decks of crops", lambda: make_decks(annotations, annotations.recording_ids, space))
    samples = round(DURATION_S * GRID.sample_rate_hz)
    recording_of = {
        name: Recording(name, Path(f"{name}.flac"), DURATION_S, samples) for name in annotations.recording_ids
    }
    show(step="load", species=space.num_species, seconds=seconds, found=dataclasses.asdict(met))
    return Corpus(
        settings, space, fit_to_recordings(annotations, dict.fromkeys(recording_of, DURATION_S)), recording_of, folds
    )


def label_crops(corpus, places):
    for name, start in places:
        frames = corpus.frame_labels(name, GRID, start, CROP)
        corpus.clip_labels(name, start, CROP, frames=frames)


def measure(corpus, rng):
    """Microseconds and bytes of the labels of a crop, and of all that is judged in a recording."""
    names = list(corpus.recording_of)
    last = round(DURATION_S * GRID.sample_rate_hz) - CROP
    places = [(names[rng.integers(len(names))], int(rng.integers(last))) for _ in range(200)]
    label_crops(corpus, places)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    label_crops(corpus, places)
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    crop = Timer("run()", globals={"run": lambda: label_crops(corpus, places)}).blocked_autorange(min_run_time=1.0)
    judge = Timer("run()", globals={"run": lambda: corpus.judged(names[:20], GRID)}).blocked_autorange(
        min_run_time=1.0
    )
    show(
        step="label",
        species=corpus.space.num_species,
        us_per_crop=round(1e6 * crop.median / len(places), 1),
        us_per_judged_recording=round(1e6 * judge.median / 20, 1),
        peak_bytes_of_a_crop=peak - before,
        left_after_200_crops=after - before,
    )


def show(**values):
    print(json.dumps(values))


def main():
    for num_species in (24, 300):
        with tempfile.TemporaryDirectory() as folder:
            settings = write_tables(Path(folder), num_species, np.random.default_rng(0))
            measure(loaded(settings), np.random.default_rng(1))


if __name__ == "__main__":
    main()
