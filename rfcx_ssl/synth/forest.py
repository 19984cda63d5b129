"""Writing a whole forest: recordings in parallel, then the tables, all in a folder that appears at once or not at all."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
from rich.console import Console

from rfcx_ssl.annotations.layout import (
    ABSENT_TABLE,
    BOX_COLUMNS,
    PRESENT_TABLE,
    RECORDING_COLUMNS,
    RECORDINGS_TABLE,
    SUBMISSION_TABLE,
    TRUTH_COLUMNS,
    TRUTH_TABLE,
)
from rfcx_ssl.batching import batched
from rfcx_ssl.config import settings_dict
from rfcx_ssl.errors import RunError
from rfcx_ssl.files import atomic_folder, write_csv
from rfcx_ssl.progress import counting
from rfcx_ssl.species import rfcx_species
from rfcx_ssl.synth.boxes import Box, false_boxes, true_boxes
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.plan import SPLITS, Task, plan_forest
from rfcx_ssl.synth.repertoire import SONG_TYPES, SongType
from rfcx_ssl.synth.scene import compose
from rfcx_ssl.synth.settings import SynthSettings
from rfcx_ssl.synth.sites import draw_site
from rfcx_ssl.threads import choose_workers
from rfcx_ssl.workers import DEATH, open_workers

RECORDINGS_PER_TASK = 4
Row = tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """What the tables say about one recording."""

    recording: Row
    truth: tuple[Row, ...]
    tp: tuple[Row, ...]
    fp: tuple[Row, ...]


def generate(out: Path, settings: SynthSettings, workers: int | None = None, *, progress: bool = True) -> None:
    """Write a synthetic rainforest in RFCX's layout to the new folder ``out``; the same settings give the same bytes.

    ``workers`` is the number of processes (default: one per free core); 1 works in this process.

    Raises:
        RunError: ``out`` exists and is not an empty folder, or ``workers`` is below 1.
    """
    if workers is not None and workers < 1:
        raise RunError(f"workers={workers} must be at least 1")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(f"{out} exists and is not an empty folder; choose another name or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    plan = plan_forest(settings)
    with atomic_folder(out) as temporary:
        for split in SPLITS:
            (temporary / split).mkdir()
        made = _make_all(temporary, settings, plan, choose_workers(workers))
        with counting(Console(stderr=True, quiet=not progress), "synthetic rainforest", len(plan)) as advance:
            written = []
            for recording in made:
                written.append(recording)
                advance(1)
        _write_tables(temporary, settings, written)


def make_recordings(root: Path, settings: SynthSettings, tasks: list[Task]) -> list[Written]:
    """What :func:`make_recording` makes of each task."""
    return [make_recording(root, settings, task) for task in tasks]


def make_recording(root: Path, settings: SynthSettings, task: Task) -> Written:
    """Compose, write and label one recording; a function of the settings and the task alone."""
    split = SPLITS.index(task.split)
    rng = np.random.default_rng([settings.seed, 2, split, task.index])
    site = draw_site(settings, task.split, task.site)
    confirmed = None if task.confirmed is None else SONG_TYPES[task.confirmed]
    scene = compose(site, settings, [SONG_TYPES[song] for song in task.songs], confirmed, task.night, rng)
    name = recording_id(settings.seed, split, task.index)
    path = root / task.split / f"{name}.flac"
    soundfile.write(path, np.round(scene.samples * 32767).astype(np.int16), SAMPLE_RATE_HZ, subtype="PCM_16")
    tp = true_boxes(scene.calls, confirmed, settings, rng) if confirmed is not None else []
    fp = false_boxes(scene.calls, [SONG_TYPES[song] for song in task.rejected], settings, rng)
    truth: tuple[Row, ...] = tuple(
        (name, task.split, *_ids(call.song), *_rounded(call.t_min, call.f_min, call.t_max, call.f_max, call.snr_db))
        for call in scene.calls
    )
    recording: Row = (name, task.split, site.name, settings.duration_s)
    return Written(recording, truth, tuple(_box_rows(name, tp)), tuple(_box_rows(name, fp)))


def recording_id(seed: int, split: int, index: int) -> str:
    """Nine hexadecimal digits, like RFCX's names; no two recordings of a forest share one."""
    digest = hashlib.blake2s(f"{seed}/{split}".encode(), digest_size=4).digest()
    scrambled = (index * 2654435761 + int.from_bytes(digest, "big")) % 2**32  # odd factor: one to one
    return f"{split * 8 + scrambled % 8:x}{scrambled:08x}"


def _make_all(root: Path, settings: SynthSettings, plan: list[Task], count: int) -> Iterator[Written]:
    """All recordings, in any order."""

    def blame(task: Task) -> Written:
        raise RunError(f"recording {task.index} of {task.split}: {DEATH}")

    with open_workers(count) as workers:
        for written in workers.run(
            partial(make_recordings, root, settings), batched(plan, RECORDINGS_PER_TASK), blame
        ):
            yield from written


def _write_tables(root: Path, settings: SynthSettings, made: list[Written]) -> None:
    made.sort(key=lambda item: str(item.recording[0]))
    write_csv(root / PRESENT_TABLE, BOX_COLUMNS, (row for item in made for row in item.tp))
    write_csv(root / ABSENT_TABLE, BOX_COLUMNS, (row for item in made for row in item.fp))
    write_csv(root / TRUTH_TABLE, TRUTH_COLUMNS, (row for item in made for row in item.truth))
    write_csv(root / RECORDINGS_TABLE, RECORDING_COLUMNS, (item.recording for item in made))
    codes = rfcx_species().codes
    test = (item.recording[0] for item in made if item.recording[1] == "test")
    write_csv(root / SUBMISSION_TABLE, ("recording_id", *codes), ((name, *[0.5] * len(codes)) for name in test))
    (root / "synth.json").write_text(json.dumps(settings_dict(settings), indent=2) + "\n", encoding="utf-8")


def _box_rows(name: str, boxes: list[Box]) -> Iterator[Row]:
    for box in boxes:
        song = box.song
        yield (name, *_ids(song), *_rounded(box.t_min, song.f_min_hz, box.t_max, song.f_max_hz))


def _ids(song: SongType) -> tuple[int, int]:
    return song.row.species_id, song.row.songtype_id


def _rounded(*values: float) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
