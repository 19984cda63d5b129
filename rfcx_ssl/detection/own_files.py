"""Files that single recordings have in the output folder: pictures, clips, tables of Raven and Audacity.

Results that are dropped take theirs with them. They go first: where that is interrupted, the results are still there to be
dropped by the next run.
"""

from collections.abc import Iterable
from pathlib import Path

from rfcx_ssl.detection.clips import clip_file
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.programs import OF_EACH
from rfcx_ssl.files import safe_name


def picture_path(out: Path, recording: str) -> Path:
    """Where the picture of a recording lies."""
    return out / "pictures" / f"{safe_name(recording)}.png"


def remove_files_of(results: Iterable[Result], out: Path) -> None:
    """Remove the files of recordings, and folders that are empty then; whatever else lies there stays."""
    for result in results:
        own = [picture_path(out, result.recording)]
        own += [kind.path(out / name, result.recording) for name, kind in OF_EACH.items()]
        own += [out / clip_file(result.recording, event) for event in result.events]
        for path in own:
            if path.is_file():
                path.unlink()
                _remove_empty(path.parent, out)


def _remove_empty(folder: Path, out: Path) -> None:
    """Remove a folder and those above it, below ``out``, as far as nothing is in them."""
    while folder != out and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
