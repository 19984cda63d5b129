"""Where a result comes from: versions, command, commit and hashes of the files that shaped it.

``run.json`` of a pretraining run and of a fine-tuning run have the same keys: what :func:`new_record` makes, and in
``sessions`` one :func:`session_record` per start of the program.
"""

import hashlib
import importlib.metadata
import json
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rfcx_ssl

PACKAGES = (
    "rfcx-ssl",
    "torch",
    "torchaudio",
    "transformers",
    "accelerate",
    "fairseq-fixed",
    "hydra-core",
    "omegaconf",
    "numpy",
    "soundfile",
    "soxr",
)


def new_record(kind: str, config: Mapping[str, Any], data: Mapping[str, Any], **facts: Any) -> dict[str, Any]:  # noqa: ANN401
    """The content of a new ``run.json``.

    Args:
        kind: ``pretraining`` or ``fine-tuning``.
        config: every setting, resolved.
        data: what the run learns from; hashes by :func:`hash_files` under ``sha256``.
        facts: what else is known before the first step, any JSON values.
    """
    return {
        "rfcx_ssl": rfcx_ssl.__version__,
        "kind": kind,
        "config": dict(config),
        "data": dict(data),
        **facts,
        "sessions": [],
        "finished": False,
    }


def session_record(data: Mapping[str, Any], resumed_from: str | None, command: Sequence[str]) -> dict[str, Any]:
    """Who runs what, with which versions and on which data: one entry per start of the program.

    ``data_sha256`` tells starts on the same data from those on other data.
    """
    return {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "resumed_from": resumed_from,
        "command": list(command),
        "python": platform.python_version(),
        "host": platform.node(),
        "versions": versions(),
        "git": git_commit(),
        "data_sha256": hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest(),
    }


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str | None]:
    """Installed versions; None for a package that is not there."""
    return {name: _version(name) for name in packages}


def git_commit(folder: Path = Path(rfcx_ssl.__file__).parent) -> str | None:
    """Commit of the checkout that this package lies in, with ``-dirty`` for local changes; None outside a checkout."""
    git = shutil.which("git")
    if git is None or "site-packages" in folder.parts:  # whose repository that would be is not ours to say
        return None
    command = [git, "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(paths: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of every file by its path; of a folder, of all files below it. What does not exist is left out.

    Two files of one name in different folders stay apart, and a file that appears in or leaves a folder shows.
    """
    files = [file for path in paths for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    return {str(file): file_sha256(file) for file in files if file.is_file()}


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
