"""The run folder: explains itself before the first step, is resumed in place, never overwritten silently."""

import dataclasses
import fcntl
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from rfcx_ssl.config import settings_dict
from rfcx_ssl.errors import RunError
from rfcx_ssl.files import remove_leftovers
from rfcx_ssl.provenance import new_record, session_record
from rfcx_ssl.training.checkpoint import CheckpointFolder, write_file
from rfcx_ssl.training.settings import OPERATIONAL_KEYS, LoopSettings


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """Paths of one run."""

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Everything a run needs to go on."""
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Model folders of the best evaluations, one per step."""
        return self.path / "best"

    @property
    def model(self) -> Path:
        """The final model (``save_pretrained``)."""
        return self.path / "model"

    @property
    def plots(self) -> Path:
        """Example pictures, one folder per evaluated step."""
        return self.path / "plots"

    @property
    def oof(self) -> Path:
        """Scores of the final model on the validation recordings."""
        return self.path / "oof.parquet"

    @property
    def oof_boxes(self) -> Path:
        """The same for every labelled box of them."""
        return self.path / "oof_boxes.parquet"

    @property
    def metrics(self) -> Path:
        """One JSON object per line."""
        return self.path / "metrics.jsonl"

    @property
    def is_finished(self) -> bool:
        """The final model is written."""
        run_file = self.path / "run.json"
        return run_file.is_file() and bool(json.loads(run_file.read_text(encoding="utf-8")).get("finished"))

    def create(self) -> None:
        """Make the folder.

        Raises:
            RunError: it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(f"output_dir={self.path}: {error.strerror or error}") from error

    def lock(self, timeout_s: float) -> IO[str]:
        """Take the folder for this process until the returned file is closed (or the process dies).

        Raises:
            RunError: another process has held it for ``timeout_s``.
        """
        handle = (self.path / ".lock").open("a", encoding="utf-8")
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    handle.close()
                    raise RunError(f"{self.path} is in use by another running process") from None
                time.sleep(0.2)

    def open(
        self,
        settings: LoopSettings,
        facts: Mapping[str, Any],
        files: Mapping[str, str] | None = None,
        kind: str = "fine-tuning",
    ) -> None:
        """Start or resume: write config.yaml and run.json before the first step, or check that they match.

        ``facts`` (processes, devices, data hashes ...) are recorded; those under ``"data"`` must stay as they were.
        ``files`` (name, text) are written beside them.

        Raises:
            RunError: the folder holds a run with other settings or data, or something that is no run.
        """
        config_file, run_file = self.path / "config.yaml", self.path / "run.json"
        config = settings_dict(settings)
        if run_file.is_file():
            run = json.loads(run_file.read_text(encoding="utf-8"))
            self._check_same(config, yaml.safe_load(config_file.read_text(encoding="utf-8")))
            self._check_same_data(json.loads(json.dumps(facts["data"])), run["data"])
        else:
            foreign = sorted(p.name for p in self.path.iterdir() if not p.name.startswith("."))
            if foreign:
                raise RunError(
                    f"{self.path} holds {', '.join(foreign[:3])} but no run.json: choose another output_dir"
                )
            run = new_record(kind, config, **facts)
        if run.get("finished"):
            return
        for folder in (self.checkpoints, self.best, self.plots):
            folder.mkdir(exist_ok=True)
        for folder in (self.path, self.checkpoints, self.best):
            remove_leftovers(folder)
        latest = CheckpointFolder(self.checkpoints, 1).steps()
        run["sessions"].append(session_record(run["data"], latest[-1].name if latest else None, sys.argv))
        for name, text in (files or {}).items():
            write_file(self.path / name, text)
        write_file(config_file, yaml.safe_dump(config, sort_keys=False))
        write_file(run_file, json.dumps(run, indent=1))

    def record(self, **facts: Any) -> None:  # noqa: ANN401 - any JSON value
        """Add facts to run.json."""
        run_file = self.path / "run.json"
        run = json.loads(run_file.read_text(encoding="utf-8"))
        write_file(run_file, json.dumps({**run, **facts}, indent=1))

    def _check_same_data(self, now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        flat_now, flat_before = flatten(now), flatten(before)
        differing = [
            f"{key.removeprefix('sha256.')} {'changed' if key in flat_now and key in flat_before else word}"
            for flat, other, word in ((flat_before, flat_now, "is gone"), (flat_now, flat_before, "is new"))
            for key in flat
            if flat[key] != other.get(key)
        ]
        if differing:
            names = "; ".join(dict.fromkeys(differing))
            raise RunError(f"{self.path}: the data changed since this run started ({names}); use a new output_dir")

    def _check_same(self, now: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        flat_now, flat_before = flatten(now), flatten(before)
        keys = sorted(flat_now.keys() | flat_before.keys())
        differing = [
            f"{key}: {flat_before.get(key)!r} -> {flat_now.get(key)!r}"
            for key in keys
            if key.split(".")[0] not in OPERATIONAL_KEYS and flat_now.get(key) != flat_before.get(key)
        ]
        if differing:
            raise RunError(
                f"{self.path} holds a run with other settings ({'; '.join(differing)}); use a new output_dir"
            )


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mapping to ``{"a.b": value}``."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
