"""Publish a prepared manifest folder as a Hugging Face data set: an audio folder with metadata."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from rfcx_ssl.errors import ManifestError, first_line
from rfcx_ssl.files import atomic_folder, safe_name
from rfcx_ssl.manifest.summary import load_summary
from rfcx_ssl.manifest.tables import AUDIO_FOLDER

#: Our names of the sides, and those of the Hugging Face hub.
SPLIT_NAMES = {"train": "train", "valid": "validation"}
#: What a stranger's machine must not learn, or cannot use: absolute paths and bookkeeping.
_PRIVATE = ("source", "segment", "status", "split", "channels")


def export_folder(folder: Path, target: Path) -> dict[str, int]:
    """Write ``target`` as an audio folder that ``datasets.load_dataset(target)`` reads; returns segments per split.

    Segments are hard links where the disk allows it, so the export takes no room.

    Raises:
        ManifestError: ``folder`` is not a prepared manifest folder, or ``target`` exists.
    """
    summary = load_summary(folder)
    if summary["kind"] != "prepared":
        raise ManifestError(f"{folder} holds a virtual manifest: build a prepared one to publish it")
    if target.exists():
        raise ManifestError(f"{target} exists; choose a new folder for the export")
    table = pa.parquet.read_table(folder / "segments.parquet")
    counts = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_folder(target) as temporary:
        for split, name in SPLIT_NAMES.items():
            chosen = table.filter(pc.equal(table.column("split"), split))
            counts[name] = len(chosen)
            if len(chosen):
                _export_split(chosen, folder / AUDIO_FOLDER, temporary / name)
        (temporary / "README.md").write_text(_card(summary, counts), encoding="utf-8")
    return counts


def push_folder(target: Path, repo_id: str, *, private: bool) -> str:
    """Upload an exported folder to the hub as data set ``repo_id``; returns its address.

    Raises:
        ManifestError: not logged in, offline, or not allowed.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        address = api.create_repo(repo_id, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(repo_id=repo_id, repo_type="dataset", folder_path=target)
    except Exception as error:  # noqa: BLE001 - offline, no token, no right: one class per HTTP library and version
        raise ManifestError(
            f"{repo_id}: cannot be uploaded ({first_line(error)}); `hf auth login` sets the token"
        ) from None
    return str(address)


def _export_split(rows: pa.Table, audio: Path, target: Path) -> None:
    for name in rows.column("segment").to_pylist():
        if safe_name(name) != name:
            raise ManifestError(f"segments.parquet: segment {name[:200]!r} is no name that a build gives")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _link(audio / name, target / name)
    metadata = rows.drop_columns(list(_PRIVATE)).add_column(0, "file_name", rows.column("segment"))
    pa.parquet.write_table(metadata, target / "metadata.parquet")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise ManifestError(f"{source} is missing; manifests/validate.py names what else is") from None
    except OSError:  # another disk, or a file system without hard links
        shutil.copyfile(source, target)


def _card(summary: dict[str, Any], counts: dict[str, int]) -> str:
    """The data set's README: how to load it, what a row holds, how it was made."""
    return "\n".join(_card_lines(summary, counts)) + "\n"


def _card_lines(summary: dict[str, Any], counts: dict[str, int]) -> Iterator[str]:
    yield from (
        "---",
        "task_categories:",
        "- audio-classification",
        "tags:",
        "- bioacoustics",
        "- rfcx-ssl",
        "---",
        "",
    )
    yield "# Field recordings, prepared for self-supervised pretraining"
    yield ""
    yield f"{summary['hours']} h of mono 16-bit FLAC at {summary['sample_rate_hz']} Hz in pieces of at most "
    yield f"{summary['settings']['segment_s']} s: " + ", ".join(f"{count} {name}" for name, count in counts.items())
    yield f"segments. Recordings are divided by {summary['split']['group_by']}: none is on both sides."
    yield ""
    yield "Columns: `audio`, `recording_id`, `start_samples` and `num_samples` within the recording at this rate, `site`,"
    yield "`recorder`, `start_time` (ISO 8601), `peak`, `rms`, `clipped_share`, `audio_hash`, `group`."
    yield "Without torchcodec: `cast_column('audio', Audio(decode=False)).with_format('arrow')`, then soundfile."
