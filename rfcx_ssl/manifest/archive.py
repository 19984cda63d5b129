"""The RFCX competition archive: fetch it from Kaggle, and verify what arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rfcx_ssl.annotations.layout import ABSENT_TABLE, BOX_COLUMNS, PRESENT_TABLE, SUBMISSION_TABLE
from rfcx_ssl.audio import audio_info
from rfcx_ssl.audio.flac import check_flac
from rfcx_ssl.batching import batched
from rfcx_ssl.errors import AnnotationError, AudioError, ManifestError, first_line, require_extra
from rfcx_ssl.files import iter_csv
from rfcx_ssl.progress import Progress, no_progress
from rfcx_ssl.workers import DEATH, Workers

COMPETITION = "rfcx-species-audio-detection"
CREDENTIALS = (
    "Kaggle needs to know you: accept the rules at https://www.kaggle.com/c/rfcx-species-audio-detection/rules, create "
    "a token at https://www.kaggle.com/settings, and put it into KAGGLE_API_TOKEN, or KAGGLE_USERNAME and KAGGLE_KEY, "
    "or ~/.kaggle/kaggle.json"
)
_FILES_PER_TASK = 32


@dataclass(frozen=True, slots=True)
class ArchiveLayout:
    """How many rows and recordings the archive holds, and what its audio is."""

    true_positives: int = 1216
    false_positives: int = 7781
    train_recordings: int = 4727
    test_recordings: int = 1992
    sample_rate_hz: int = 48_000


def fetch_archive(out: Path) -> Path:
    """Download and unpack the archive below ``out``; returns the folder that holds train_tp.csv.

    Raises:
        MissingExtraError: kagglehub is not installed.
        ManifestError: no credentials, rules not accepted, or no network.
    """
    kagglehub = require_extra("kagglehub", "download")
    exceptions = require_extra("kagglehub.exceptions", "download")
    refused = (exceptions.UnauthenticatedError, exceptions.CredentialError, exceptions.KaggleApiHTTPError)
    try:
        return Path(kagglehub.competition_download(COMPETITION, output_dir=str(out)))
    except (*refused, ValueError) as error:
        raise ManifestError(f"{COMPETITION}: {first_line(error)}. {CREDENTIALS}") from None
    except OSError as error:
        raise ManifestError(
            f"{COMPETITION}: cannot be downloaded ({first_line(error)}); is this machine offline, or its disk full? "
            f"An archive fetched elsewhere is checked with rfcx-ssl download --verify {out}"
        ) from None


def verify_archive(
    root: Path,
    workers: Workers,
    *,
    layout: ArchiveLayout | None = None,
    checksums: bool = True,
    progress: Progress = no_progress,
) -> list[str]:
    """What is wrong with an unpacked archive, one sentence each; empty when it is complete.

    ``layout`` None checks only that tables and recordings agree. ``checksums`` decodes every FLAC and compares it with
    the MD5 in its header; without it only headers are read.
    """
    problems: list[str] = []
    tables = {
        PRESENT_TABLE: (BOX_COLUMNS, layout and layout.true_positives),
        ABSENT_TABLE: (BOX_COLUMNS, layout and layout.false_positives),
        SUBMISSION_TABLE: (("recording_id",), layout and layout.test_recordings),
    }
    named: dict[str, set[str]] = {"train": set(), "test": set()}
    for name, (columns, rows) in tables.items():
        ids = list(_recording_ids(root / name, columns, problems))
        named["test" if name == SUBMISSION_TABLE else "train"] |= set(ids)
        if rows is not None and len(ids) != rows:
            problems.append(f"{root / name}: {len(ids)} rows, must be {rows}")
    counts = {"train": layout and layout.train_recordings, "test": layout and layout.test_recordings}
    files: list[Path] = []
    for folder, expected in counts.items():
        found = {path.stem: path for path in sorted((root / folder).glob("*.flac"))}
        files += found.values()
        if expected is not None and len(found) != expected:
            problems.append(f"{root / folder}: {len(found)} recordings, must be {expected}")
        missing = sorted(named[folder] - found.keys())
        if missing:
            problems.append(f"{root / folder}: {len(missing)} recordings of the tables are missing, e.g. {missing[0]}")
    check = partial(_check_files, rate_hz=layout.sample_rate_hz if layout else None, checksums=checksums)
    done = 0

    def blame(path: Path) -> str:
        return f"{path}: {DEATH}"

    for found_problems in workers.run(check, batched(files, _FILES_PER_TASK), blame):
        problems += found_problems
        done += _FILES_PER_TASK
        progress("recordings", min(done, len(files)), len(files))
    return sorted(problems)


def _recording_ids(path: Path, columns: tuple[str, ...], problems: list[str]) -> Iterator[str]:
    try:
        yield from (row["recording_id"] for _, row in iter_csv(path, columns, optional=None))
    except AnnotationError as error:
        problems.append(str(error))


def _check_files(paths: list[Path], *, rate_hz: int | None, checksums: bool) -> list[str]:
    problems = []
    for path in paths:
        try:
            info = audio_info(path)
            if rate_hz is not None and (info.sample_rate_hz, info.channels) != (rate_hz, 1):
                problems.append(
                    f"{path}: {info.sample_rate_hz} Hz, {info.channels} channels; must be {rate_hz} Hz mono"
                )
            if checksums:
                check_flac(path)
        except AudioError as error:
            problems.append(str(error))
    return problems
