"""run.json of a pretraining run: written before the first step, one entry per start, so that the run explains itself."""

import hashlib
import importlib.metadata
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rfcx_ssl.atomic import atomic_path
from rfcx_ssl.errors import RunError

_PACKAGES = ("rfcx-ssl", "fairseq-fixed", "torch", "hydra-core", "omegaconf", "numpy", "soundfile")


def record_run(save_dir: Path, config: Mapping[str, Any], command: Sequence[str]) -> None:
    """Append this start to ``run.json``.

    Raises:
        RunError: the folder holds a checkpoint of a run with another model or task than ``config`` asks for.
    """
    path = save_dir / "run.json"
    earlier = json.loads(path.read_text()) if path.is_file() else {"starts": []}
    resumes = (save_dir / "checkpoint_last.pt").is_file()
    if resumes and earlier["starts"]:
        _refuse_other_model(save_dir, earlier["starts"][-1]["config"], config)
    earlier["starts"].append(
        {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "resumes": resumes,
            "command": list(command),
            "git_commit": _git_commit(),
            "versions": {name: _version(name) for name in _PACKAGES},
            "manifests_sha256": _manifest_hashes(Path(config["task"]["data"])),
            "config": dict(config),
        }
    )
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(earlier, indent=2, default=str) + "\n")


def _refuse_other_model(save_dir: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for group in ("model", "task"):
        for key, value in now[group].items():
            if key != "data" and before[group].get(key, value) != value:
                raise RunError(
                    f"{save_dir} holds a run with {group}.{key}={before[group][key]!r}, now it is {value!r}; "
                    "give another checkpoint.save_dir"
                )


def _manifest_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.tsv"))}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _git_commit() -> str:
    try:
        found = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
