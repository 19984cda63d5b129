"""Read a manifest folder back and name every line that is wrong: file, line, field, value, rule."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from rfcx_ssl.audio import open_audio, resampled_samples
from rfcx_ssl.batching import batched
from rfcx_ssl.errors import AudioError, ManifestError, first_line
from rfcx_ssl.manifest.summary import load_summary
from rfcx_ssl.manifest.virtual import load_virtual, split_file
from rfcx_ssl.progress import Progress, no_progress
from rfcx_ssl.workers import DEATH, Workers

LINES_PER_TASK = 64
_BLOCK_FRAMES = 1 << 18
SPLITS = ("train", "valid")
#: Fields of what is no damage: too little audio for a batch of fairseq.
TOO_FEW = ("train_segments", "valid_segments")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One broken rule; ``line`` counts from 1, for Parquet it is the row."""

    file: str
    line: int
    field: str
    value: str
    rule: str

    def __str__(self) -> str:
        """``file:line: field='value': rule``."""
        return f"{self.file}:{self.line}: {self.field}={self.value!r}: {self.rule}"


@dataclass(frozen=True, slots=True)
class Row:
    """One line to check: ``num_samples`` samples from ``start_samples`` of a file, at the manifest's rate.

    ``source_hz`` is the rate the file must have; ``whole`` asks that the segment is the whole mono file.
    """

    line: int
    path: str
    start_samples: int
    num_samples: int
    source_hz: int
    whole: bool


def validate_folder(
    folder: Path, workers: Workers, *, decode: bool = True, progress: Progress = no_progress
) -> list[Problem]:
    """Every problem of a manifest folder, in order; ``decode`` reads all audio, else headers only.

    Raises:
        ManifestError: the folder is not a manifest folder at all.
    """
    summary = load_summary(folder)
    problems: list[Problem] = []
    done = 0
    for split in SPLITS:
        virtual = summary["kind"] == "virtual"
        path = split_file(folder, split, virtual=virtual)
        rows = _virtual_rows(path) if virtual else _tsv_rows(path, summary)
        check = partial(check_rows, file=path.name, rate_hz=summary["sample_rate_hz"], decode=decode)
        sound = _set_aside(rows, problems)

        def blame(row: Row, file: str = path.name) -> Problem:
            return Problem(file, row.line, "path", row.path, DEATH)

        for found in workers.run(check, batched(sound, LINES_PER_TASK), blame):
            problems += found
            done += LINES_PER_TASK
            lines = summary["train_segments"] + summary["valid_segments"]
            progress("lines", min(done, lines), lines)
    problems += _check_table(folder, summary)
    problems += _check_batchable(summary)
    return sorted(problems)


def check_rows(rows: list[Row], *, file: str, rate_hz: int, decode: bool) -> list[Problem]:
    """Problems of some rows, found by opening (and decoding) their files."""
    return [problem for row in rows if (problem := _check_row(row, file, rate_hz, decode=decode))]


def _check_row(row: Row, file: str, rate_hz: int, *, decode: bool) -> Problem | None:
    problem = partial(Problem, file, row.line)
    try:
        with open_audio(row.path) as source:
            if source.sample_rate_hz != row.source_hz:
                rule = f"its sample rate is {source.sample_rate_hz} Hz, must be {row.source_hz} Hz"
                return problem("path", row.path, rule)
            if row.whole and source.channels != 1:
                return problem("path", row.path, f"has {source.channels} channels, must be mono")
            total = resampled_samples(source.frames, source.sample_rate_hz, rate_hz)
            if row.whole and row.num_samples != total:
                return problem("frames", str(row.num_samples), f"{row.path} has {total} samples")
            if row.start_samples + row.num_samples > total:
                end = str(row.start_samples + row.num_samples)
                return problem("start_samples + num_samples", end, f"{row.path} ends at {total}")
            if decode and row.whole:
                decoded = sum(len(source.read(_BLOCK_FRAMES)) for _ in range(-(-source.frames // _BLOCK_FRAMES)))
                if decoded != source.frames:
                    return problem("path", row.path, f"only {decoded} of {source.frames} samples can be decoded")
    except AudioError as error:
        return problem("path", row.path, str(error).removeprefix(f"{row.path}: "))
    return None


def _set_aside(rows: Iterable[Row | Problem], problems: list[Problem]) -> Iterator[Row]:
    for row in rows:
        if isinstance(row, Problem):
            problems.append(row)
        else:
            yield row


def _tsv_rows(path: Path, summary: dict[str, Any]) -> Iterator[Row | Problem]:
    rate_hz = summary["sample_rate_hz"]
    longest = int(summary["settings"]["segment_s"] * rate_hz)
    if not path.is_file():
        yield Problem(path.name, 0, "file", path.name, "is missing; run manifests/build.py again")
        return
    with path.open(encoding="utf-8", errors="replace") as lines:
        root = lines.readline().rstrip("\n")
        if not Path(root).is_dir():
            rule = "no such folder; after a move, run manifests/build.py again (nothing is decoded twice)"
            yield Problem(path.name, 1, "root", root, rule)
            return
        for number, line in enumerate(lines, start=2):
            yield _parse_line(path.name, number, line.rstrip("\n"), root, rate_hz, longest)


def _parse_line(file: str, number: int, line: str, root: str, rate_hz: int, longest: int) -> Row | Problem:
    relpath, tab, frames = line.partition("\t")
    if not tab or "\t" in frames:
        return Problem(file, number, "line", line[:120], "must be relpath<TAB>frames")
    if not (frames.isascii() and frames.isdigit() and int(frames) > 0):
        return Problem(file, number, "frames", frames, "must be a whole number above 0")
    if int(frames) > longest:
        return Problem(file, number, "frames", frames, f"must be at most {longest} (segment_s)")
    if Path(relpath).is_absolute() or ".." in Path(relpath).parts:
        return Problem(file, number, "path", relpath, "must be relative to the root and stay below it")
    return Row(number, f"{root}/{relpath}", 0, int(frames), rate_hz, whole=True)


def _virtual_rows(path: Path) -> Iterator[Row | Problem]:
    try:
        manifest = load_virtual(path)
    except ManifestError as error:
        yield Problem(path.name, 0, "file", path.name, str(error).removeprefix(f"{path}: "))
        return
    for index in range(len(manifest)):
        row = manifest[index]
        yield Row(index + 1, str(row.path), row.start_samples, row.num_samples, row.source_rate_hz, whole=False)


def _check_table(folder: Path, summary: dict[str, Any]) -> Iterator[Problem]:
    """``segments.parquet`` against the splits: the same counts, and nothing on both sides."""
    path = folder / "segments.parquet"
    try:
        table = pa.parquet.read_table(path, columns=["recording_id", "group", "audio_hash", "split", "num_samples"])
    except (OSError, pa.ArrowException) as error:
        yield Problem(path.name, 0, "file", path.name, f"cannot be read ({first_line(error)})")
        return
    used = table.filter(pc.not_equal(table.column("split"), ""))
    for split in SPLITS:
        chosen = used.filter(pc.equal(used.column("split"), split))
        listed = _listed_samples(folder, split, summary)
        expected = [len(chosen), pc.sum(chosen.column("num_samples")).as_py() or 0]
        if listed is not None and listed != expected:
            value = f"{expected[0]} segments, {expected[1]} samples"
            rule = f"the {split} manifest lists {listed[0]} segments, {listed[1]} samples"
            yield Problem(path.name, 0, split, value, rule)
    for field in ("recording_id", "group", "audio_hash"):
        known = used.filter(pc.is_valid(used.column(field)))
        sides = known.group_by(field).aggregate([("split", "count_distinct")])
        for value in sides.filter(pc.greater(sides.column("split_count_distinct"), 1)).column(field).to_pylist():
            yield Problem(path.name, 0, field, value, "is in train and in valid: validation would be leaked")


def _listed_samples(folder: Path, split: str, summary: dict[str, Any]) -> list[int] | None:
    """Number of segments and samples that a split file lists; None where it cannot be read."""
    try:
        sizes = load_virtual(split_file(folder, split, virtual=summary["kind"] == "virtual")).sizes
    except ManifestError:
        return None
    return [len(sizes), int(sizes.sum())]


def _check_batchable(summary: dict[str, Any]) -> Iterator[Problem]:
    need = summary["settings"]["split"]["batch_multiple"]
    for split in SPLITS:
        count = summary[f"{split}_segments"]
        if count < need:
            rule = f"fairseq needs at least {need} (dataset.required_batch_size_multiple) or stops: dataset is empty"
            yield Problem("manifest.json", 0, f"{split}_segments", str(count), rule)
