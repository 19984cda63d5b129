"""Build a manifest folder: find, scan headers, prepare, flag, split, write. Every step continues where it stopped."""

import json
import shutil
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from rfcx_ssl.batching import batched
from rfcx_ssl.config import settings_dict
from rfcx_ssl.errors import ManifestError
from rfcx_ssl.files import remove_leftovers, write_text
from rfcx_ssl.manifest.cut import recording_folder, segment_bounds
from rfcx_ssl.manifest.excluded import leak_warnings, mark_excluded
from rfcx_ssl.manifest.flags import flag_segments
from rfcx_ssl.manifest.headers import Header, scan_headers
from rfcx_ssl.manifest.placed import recall_placed
from rfcx_ssl.manifest.places import Places, place_recordings
from rfcx_ssl.manifest.prepare import Prepared, PrepareTask, Segment, prepare_recordings
from rfcx_ssl.manifest.roots import Root, find_recordings
from rfcx_ssl.manifest.settings import ManifestSettings
from rfcx_ssl.manifest.split import SplitReport, assign_splits, check_leaks
from rfcx_ssl.manifest.state import BuildState, open_state
from rfcx_ssl.manifest.summary import load_summary
from rfcx_ssl.manifest.tables import AUDIO_FOLDER, write_quarantine, write_segments, write_tsv, write_virtual
from rfcx_ssl.manifest.validate import TOO_FEW, validate_folder
from rfcx_ssl.progress import Progress, no_progress
from rfcx_ssl.workers import DEATH, Workers, this_process

HEADERS_PER_TASK = 256
#: Raised when the same header would be judged otherwise, so that headers are scanned again (nothing is decoded again).
SCAN_VERSION = 2
#: A task holds recordings of about a minute in all, so that short files do not drown in messages.
TASK_FRAMES = 60 * 48_000
FORMAT = "rfcx-ssl manifest/1"


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did and what its folder holds now."""

    scanned: int
    prepared: int
    recordings: int
    quarantined: int
    statuses: dict[str, int]
    hours: float
    split: SplitReport
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build: where from, where to, how."""

    roots: Sequence[Root]
    out: Path
    settings: ManifestSettings
    virtual: bool = False
    excluded: Collection[str] = ()
    places: Places = field(default_factory=dict)
    workers: Workers = field(default_factory=this_process)
    retry: bool = False
    progress: Progress = no_progress

    @property
    def audio_folder(self) -> Path:
        """Where the prepared segments go."""
        return self.out.resolve() / AUDIO_FOLDER

    @property
    def key(self) -> str:
        """Names the settings that the stored segments depend on."""
        return self.settings.fingerprint(virtual=self.virtual)


def build_manifest(build: Build) -> BuildReport:
    """Run ``build``; a second run touches new and changed files only and writes identical bytes.

    Raises:
        ManifestError: nothing usable was found, the folder holds another kind of manifest or is in use, the split
            would leak, or a segment cannot be written (full disk).
    """
    with started(build) as state:
        state.see(find_recordings(build.roots))
        scanned = scan_new(build, state)
        prepared = prepare_new(build, state)
        return finish(build, state, scanned, prepared)


@contextmanager
def started(build: Build) -> Iterator[BuildState]:
    """The state of the folder to build in, once it is sure that ``build`` may build there."""
    if build.settings.check == "headers" and not build.virtual:
        raise ManifestError("check=headers reads no audio, so it needs --virtual; prepared segments are decoded")
    build.out.mkdir(parents=True, exist_ok=True)
    _refuse_other_kind(build)
    with open_state(build.out) as state:
        remove_leftovers(build.out)  # of a build that was killed while writing
        if build.retry:
            state.retry_problems()
        yield state


def _refuse_other_kind(build: Build) -> None:
    path = build.out / "manifest.json"
    if not path.exists():
        return
    kind = load_summary(build.out)["kind"]
    if kind != _kind(build):
        raise ManifestError(f"{build.out} holds a {kind} manifest; choose another --out for a {_kind(build)} one")


def _kind(build: Build) -> str:
    return "virtual" if build.virtual else "prepared"


def scan_new(build: Build, state: BuildState) -> int:
    """Scan the headers of new and changed files in parallel; returns how many."""
    settings = build.settings
    key = f"{build.key} {settings.min_source_rate_hz} {SCAN_VERSION}"
    scan = partial(scan_headers, target_hz=settings.sample_rate_hz, min_source_rate_hz=settings.min_source_rate_hz)
    done = 0
    tasks = batched(state.without_header(key), HEADERS_PER_TASK)

    def blame(file: tuple[str, str]) -> Header:
        return Header(file[0], problem=DEATH)

    for headers in build.workers.run(scan, tasks, blame):
        state.save_headers(headers, key)
        done += len(headers)
        build.progress("headers", done, 0)
    return done


def prepare_new(build: Build, state: BuildState) -> int:
    """Cut every recording that is not cut yet, in parallel; returns how many."""
    if build.settings.check == "headers":
        return _cut_by_header(build, state)
    todo = "FROM recordings WHERE seen AND problem = '' AND prepared IS NOT ?"
    hours = state.count(f"SELECT SUM(frames / sample_rate_hz) {todo}", (build.key,)) / 3600
    done_s, prepared = 0.0, 0

    def blame(task: PrepareTask) -> Prepared:
        _remove_segments(build, task.recording_id)
        return Prepared(task.recording_id, (), DEATH)

    for results in build.workers.run(prepare_recordings, _tasks(build, state), blame):
        state.save_prepared(results, build.key)
        prepared += len(results)
        done_s += sum(s.num_samples for r in results for s in r.segments) / build.settings.sample_rate_hz
        build.progress("hours", done_s / 3600, hours)
    return prepared


def _cut_by_header(build: Build, state: BuildState) -> int:
    prepared = 0
    for page in batched(state.unprepared(build.key), HEADERS_PER_TASK):
        state.save_prepared([_planned(build.settings, *row) for row in page], build.key)
        prepared += len(page)
    return prepared


def _planned(settings: ManifestSettings, recording_id: str, path: str, frames: int, rate_hz: int) -> Prepared:
    """The segments a header promises, unmeasured."""
    total = Header(recording_id, frames, rate_hz).target_samples(settings.sample_rate_hz)
    bounds = segment_bounds(total, settings.max_samples)
    return Prepared(recording_id, tuple(Segment(index, *piece) for index, piece in enumerate(bounds)))


def _tasks(build: Build, state: BuildState) -> Iterator[list[PrepareTask]]:
    settings = build.settings
    folder = None if build.virtual else str(build.audio_folder)
    batch: list[PrepareTask] = []
    for recording_id, path, frames, _ in state.unprepared(build.key):
        batch.append(
            PrepareTask(
                recording_id, path, frames, folder, settings.sample_rate_hz, settings.max_samples, settings.channel
            )
        )
        if sum(task.frames for task in batch) >= TASK_FRAMES or len(batch) >= HEADERS_PER_TASK:
            yield batch
            batch = []
    if batch:
        yield batch


def finish(build: Build, state: BuildState, scanned: int, prepared: int) -> BuildReport:
    """Drop what is gone, flag, split, check and write the folder's tables; see :func:`build_manifest` for errors."""
    for recording_id in chain(state.forget_unseen(), state.drop_unusable()):
        _remove_segments(build, recording_id)
    if not state.count("SELECT COUNT(*) FROM recordings"):
        raise ManifestError(f"no audio files below {', '.join(str(root.path) for root in build.roots)}")
    excluded = mark_excluded(state, build.excluded)
    place_recordings(state, build.places)
    recall_placed(state, build.out)
    statuses = flag_segments(state, build.settings)
    split = assign_splits(state, build.settings.split)
    check_leaks(state)
    warnings = [split.warning] if split.warning else []
    warnings += leak_warnings(state, build.roots)
    for name in ("train", "valid"):
        if build.virtual:
            write_virtual(state, build.out, name, build.settings)
        else:
            write_tsv(state, build.out, name)
    write_segments(state, build.out, build.settings.sample_rate_hz, virtual=build.virtual)
    quarantined = write_quarantine(state, build.out)
    samples = state.count("SELECT SUM(num_samples) FROM segments WHERE used")
    report = BuildReport(
        scanned=scanned,
        prepared=prepared,
        recordings=state.count("SELECT COUNT(*) FROM recordings WHERE problem = ''"),
        quarantined=quarantined,
        statuses=statuses,
        hours=samples / build.settings.sample_rate_hz / 3600,
        split=split,
        warnings=tuple(warnings),
    )
    _write_summary(build, report, excluded)
    _require_sound(build)
    return report


def _require_sound(build: Build) -> None:
    """Read back what was written; audio is not decoded again.

    Raises:
        ManifestError: a table does not fit the audio or another table, or something is on both sides of the split.
    """
    problems = [p for p in validate_folder(build.out, build.workers, decode=False) if p.field not in TOO_FEW]
    if problems:
        raise ManifestError(
            f"{build.out}: {len(problems)} problems after the build, first {problems[0]} (manifests/validate.py names all); "
            f"without {build.out / '.state'} the same command decodes everything again"
        )


def _write_summary(build: Build, report: BuildReport, excluded: int) -> None:
    """``manifest.json``: what the folder holds and how it was made; no times, so that two runs agree."""
    summary: dict[str, Any] = {
        "format": FORMAT,
        "kind": _kind(build),
        "sample_rate_hz": build.settings.sample_rate_hz,
        "recordings": report.recordings,
        "quarantined": report.quarantined,
        "excluded_recordings": excluded,
        "segments": report.statuses,
        "hours": round(report.hours, 4),
        "train_segments": report.split.train_segments,
        "valid_segments": report.split.valid_segments,
        "fairseq_ready": not report.split.warning,
        "split": {"group_by": report.split.group_by, "groups": report.split.groups, "joined": report.split.joined},
        "warnings": report.warnings,
        "settings": settings_dict(build.settings),
        "roots": {root.label: str(root.path) for root in build.roots},
    }
    write_text(build.out / "manifest.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")


def _remove_segments(build: Build, recording_id: str) -> None:
    folder = build.audio_folder / recording_folder(recording_id)
    if folder.exists():
        shutil.rmtree(folder)


def print_report(report: BuildReport, out: Path) -> None:
    """Say what was built on stdout; warnings go to stderr."""
    statuses = ", ".join(f"{count} {name}" for name, count in report.statuses.items() if count)
    split = report.split
    lines = (
        f"{out}: {report.recordings} recordings ({report.prepared} new), {report.quarantined} quarantined",
        f"segments: {statuses or 'none'}; {report.hours:.2f} h used",
        f"train {split.train_segments}, valid {split.valid_segments} segments; {split.groups} groups by {split.group_by}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    for warning in report.warnings:
        sys.stderr.write(f"warning: {warning}\n")
