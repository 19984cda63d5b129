"""Checkpoints that are whole or absent: written under a temporary name, synced, then renamed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError

from rfcx_ssl.errors import CheckpointError, RunError, first_line
from rfcx_ssl.files import atomic_folder, write_text
from rfcx_ssl.training.state import TrainState

TENSORS_FILE = "tensors.pt"
STATE_FILE = "state.json"


def step_name(step: int) -> str:
    """Folder name of a step; names sort as steps do."""
    return f"step_{step:07d}"


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Make ``folder`` with the files that ``fill`` writes, all or nothing, also across a power cut.

    Raises:
        RunError: when the disk is full or the parent folder is gone; nothing is left behind.
    """
    if not folder.parent.is_dir():
        raise RunError(f"{folder.parent} is gone: cannot write {folder.name}")
    try:
        with atomic_folder(folder, durable=True) as partial:
            fill(partial)
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RunError(f"cannot write {folder}: {reason}; earlier checkpoints are intact") from error


def save_tensors(tensors: dict[str, Any], path: Path) -> None:
    """``torch.save`` that reports a failed write as the OSError it is."""
    try:
        torch.save(tensors, path)
    except RuntimeError as error:
        free_mb = shutil.disk_usage(path.parent).free / 1e6
        raise OSError(f"torch.save failed with {free_mb:.0f} MB free on the disk ({error})") from error


def write_file(path: Path, text: str) -> None:
    """Replace ``path`` by ``text``, all or nothing, also across a power cut.

    Raises:
        RunError: when the disk is full or the folder is gone.
    """
    try:
        write_text(path, text, durable=True)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error


class CheckpointFolder:
    """The ``checkpoints/`` folder of a run: the last ``keep_last`` steps."""

    def __init__(self, folder: Path, keep_last: int) -> None:
        self.folder = folder
        self.keep_last = keep_last

    def steps(self) -> list[Path]:
        """Complete checkpoints, oldest first."""
        return sorted(self.folder.glob("step_*"))

    def save(self, state: TrainState, tensors: dict[str, Any]) -> Path:
        """Write the checkpoint of ``state.step`` and drop the oldest beyond ``keep_last``."""

        def fill(partial: Path) -> None:
            save_tensors(tensors, partial / TENSORS_FILE)
            (partial / STATE_FILE).write_text(json.dumps(state.to_dict(), indent=1), encoding="utf-8")

        path = self.folder / step_name(state.step)
        if not path.exists():
            write_folder(path, fill)
        for old in self.steps()[: -self.keep_last]:
            shutil.rmtree(old)
        return path

    def load_latest(self) -> tuple[TrainState, dict[str, Any]] | None:
        """State and tensors (on the CPU) of the newest checkpoint, or None where there is none.

        Raises:
            CheckpointError: when the newest checkpoint cannot be read.
        """
        paths = self.steps()
        if not paths:
            return None
        path = paths[-1]
        try:
            state = TrainState.from_dict(json.loads((path / STATE_FILE).read_text(encoding="utf-8")))
            tensors = torch.load(path / TENSORS_FILE, map_location="cpu", weights_only=True)
        except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, UnpicklingError) as error:
            raise CheckpointError(
                f"{path}: {first_line(error)}; remove the folder to go on from the one before"
            ) from error
        return state, tensors
