"""What a run says while it runs: progress bar, metrics.jsonl, progress.json, TensorBoard, Weights & Biases; its speed."""

import json
import math
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from rfcx_ssl.errors import require_extra
from rfcx_ssl.progress import open_bars, say
from rfcx_ssl.training.checkpoint import write_file
from rfcx_ssl.training.state import TrainState


class Journal:
    """Written by the main process alone. Lines of metrics.jsonl after ``start_step`` (a lost future) are dropped."""

    def __init__(self, folder: Path, max_steps: int, start_step: int, trackers: tuple[str, ...]) -> None:
        self.folder = folder
        self.max_steps = max_steps
        self.console = Console(stderr=True)
        self._keep_lines_up_to(start_step)
        self._writers = [open_tracker(kind, folder, start_step) for kind in trackers]
        self._bar = open_bars(self.console)
        self._task = self._bar.add_task("training", total=max_steps, completed=start_step)
        self._bar.start()

    def write(self, step: int, kind: str, values: Mapping[str, Any], note: str = "") -> None:
        """Add one line to metrics.jsonl and the trackers, and show ``note``: of training on the bar, else in a line."""
        line = json.dumps(plain({"step": step, "kind": kind, **values}))
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as lines:
            lines.write(line + "\n")
        scalars = {f"{kind}/{key}": value for key, value in values.items() if isinstance(value, int | float)}
        self._bar.update(self._task, completed=step)
        for writer in self._writers:
            writer.log(scalars, step)
        if note:
            if kind == "train":
                self._bar.update(self._task, note=note)
            if kind != "train" or not self.console.is_terminal:
                self.say(f"step {step}/{self.max_steps} {kind}: {note}")

    def picture(self, step: int, path: Path) -> None:
        """Show a written picture in the trackers."""
        for writer in self._writers:
            writer.picture(f"recording/{path.stem}", path, step)

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        say(self.console, text)

    def progress(self, state: TrainState, max_steps: int, **values: float | bool | None) -> None:
        """Replace progress.json: where the run is, for people and programs that watch it."""
        best = state.best
        record = {
            "step": state.step,
            "max_steps": max_steps,
            "train_s": round(state.train_s, 3),
            "best": None if best is None else {"step": best.step, "score": best.score},
            "bad_steps": state.bad_steps,
            "stopped": False,  # by a signal; the same command goes on
            "finished": False,
            **values,
            "updated": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        write_file(self.folder / "progress.json", json.dumps(plain(record), indent=1))

    def close(self) -> None:
        """Close the bar and the trackers."""
        self._bar.stop()
        for writer in self._writers:
            writer.close()

    def _keep_lines_up_to(self, step: int) -> None:
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
            except ValueError:  # the half line of a killed process
                break
        write_file(path, "".join(kept))


class Clock:
    """Speed of a run, from the last reading on and in this session only; the clock is stopped during evaluation."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.train_s = 0.0
        self.steps = 0
        self.audio_s = 0.0
        self._started = time.perf_counter()

    def resume(self) -> None:
        """Start the clock, also after a pause."""
        self._started = time.perf_counter()

    def lap(self, audio_s: float) -> float:
        """Count one step over ``audio_s`` seconds of audio; returns its seconds."""
        now = time.perf_counter()
        step_s, self._started = now - self._started, now
        self.train_s += step_s
        self.audio_s += audio_s
        self.steps += 1
        return step_s

    def read(self, wait_s: float) -> dict[str, float]:
        """Rates since the last reading; ``wait_s`` is what the loop waited for data."""
        seconds = max(self.train_s, 1e-9)
        values = {
            "audio_s_per_s": self.audio_s / seconds,
            "steps_per_s": self.steps / seconds,
            "loader_wait_share": wait_s / seconds,
        }
        if self.device.type == "cuda":
            values["gpu_memory_gb"] = torch.cuda.max_memory_allocated(self.device) / 1e9
        self.train_s, self.audio_s, self.steps = 0.0, 0.0, 0
        return values


def plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """NaN and infinities as null, at any depth: strict JSON readers know neither."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def open_tracker(kind: str, folder: Path, start_step: int) -> "TensorBoardTracker | WandbTracker":
    """The tracker of one kind."""
    return WandbTracker(folder) if kind == "wandb" else TensorBoardTracker(folder, start_step)


class TensorBoardTracker:
    """Writes ``tensorboard/``; points of a lost future are purged on resume."""

    def __init__(self, folder: Path, start_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        purge = start_step + 1 if start_step else None
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"), purge_step=purge)

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Add scalars."""
        for key, value in scalars.items():
            self._writer.add_scalar(key, value, step)

    def picture(self, name: str, path: Path, step: int) -> None:
        """Add a picture file."""
        from matplotlib.image import imread

        self._writer.add_image(name, imread(path)[:, :, :3], step, dataformats="HWC")

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()


class WandbTracker:
    """Logs to Weights & Biases (extra package); a resumed run goes on under the same id."""

    def __init__(self, folder: Path) -> None:
        self._wandb: Any = require_extra("wandb", "wandb")
        # A folder's path does not survive a move to another machine: the id is kept in the folder.
        id_file = folder / ".wandb_id"
        if not id_file.exists():
            write_file(id_file, secrets.token_hex(8))
        self._run = self._wandb.init(
            project="rfcx-ssl", name=folder.name, id=id_file.read_text().strip(), resume="allow", dir=str(folder)
        )

    def log(self, scalars: Mapping[str, float], step: int) -> None:
        """Log scalars."""
        self._run.log(dict(scalars), step=step)

    def picture(self, name: str, path: Path, step: int) -> None:
        """Log a picture file."""
        self._run.log({name: self._wandb.Image(str(path))}, step=step)

    def close(self) -> None:
        """Finish the session."""
        self._run.finish()
