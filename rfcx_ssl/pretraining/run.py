"""Run fairseq-hydra-train as a child process and watch it: progress with ETA, health, metrics, picture, clean stop.

The engine is the stock command with the same config and overrides; only ``common.user_dir`` (graceful stop, virtual
manifests) is added where the user gives none. Everything is written into ``checkpoint.save_dir``.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from rfcx_ssl.errors import RunError
from rfcx_ssl.files import write_text
from rfcx_ssl.pretraining.health import Health, HealthBands, health_bands, judge
from rfcx_ssl.pretraining.log import merge_records, read_log, write_metrics
from rfcx_ssl.pretraining.plot import plot_run
from rfcx_ssl.pretraining.preflight import check_pretraining, compose_pretraining
from rfcx_ssl.pretraining.record import record_end, record_run
from rfcx_ssl.threads import choose_threads, environment_threads

_POLL_S = 0.5
_PLOT_EVERY_S = 60.0
_REQUEST_EVERY_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainRequest:
    """One call of pretrain/run.py: the config, the overrides, the plugin folder, whether alarms stop the run, threads."""

    config_dir: Path
    config_name: str
    overrides: tuple[str, ...]
    user_dir: Path
    auto_stop: bool = False
    threads: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What a display needs: the latest update, the last update of the run, the rate, and the verdict."""

    num_updates: int
    max_update: int
    updates_per_s: float
    health: Health

    @property
    def eta_s(self) -> float:
        """Seconds to the last update at the present rate; NaN while the rate is unknown."""
        left = max(self.max_update - self.num_updates, 0)
        return left / self.updates_per_s if self.updates_per_s > 0 else float("nan")


def run_pretraining(request: PretrainRequest, show: Callable[[Progress], None]) -> Path:
    """Train until ``optimization.max_update``, a stop signal or an alarm; the same call again resumes.

    Args:
        request: what to run.
        show: called with every new log line.

    Returns:
        ``checkpoint.save_dir``, with checkpoint_last.pt, metrics.csv, health.json, curves.png and run.json.

    Raises:
        ConfigError, ManifestError: see :mod:`rfcx_ssl.pretraining.preflight`.
        RunError: fairseq failed, or ``auto_stop`` is set and the run has failed its health check.
    """
    config = compose_pretraining(request.config_dir, request.config_name, request.overrides)
    check_pretraining(config)
    save_dir = Path(config["checkpoint"]["save_dir"])
    save_dir.mkdir(parents=True, exist_ok=True)
    command = engine_command(request, config)
    threads = engine_threads(request.threads, config, save_dir / "run.json")
    record_run(save_dir, config, command, cpu_threads=threads)
    with (save_dir / "console.log").open("ab") as console:
        child = subprocess.Popen(
            command,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_ignore_sigterm,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
        )
        watcher = _Watcher(child, config, save_dir, show, request.auto_stop)
        watcher.follow()
    watcher.finish()
    return save_dir


def engine_command(request: PretrainRequest, config: Mapping[str, Any]) -> list[str]:
    """The fairseq-hydra-train command line of a request."""
    beside = Path(sys.executable).with_name("fairseq-hydra-train")
    engine = str(beside) if beside.is_file() else shutil.which("fairseq-hydra-train")
    if engine is None:
        raise RunError("fairseq-hydra-train is not installed; pip install 'rfcx-ssl[pretrain]'")
    command = [engine, "--config-dir", str(request.config_dir.resolve()), "--config-name", request.config_name]
    command += request.overrides
    if config["common"].get("user_dir") is None:
        command.append(f"common.user_dir={request.user_dir.resolve()}")
    return command


def engine_threads(asked: int | None, config: Mapping[str, Any], run_file: Path) -> int:
    """Threads of each fairseq process: beside a GPU one, because loaders and other ranks need the cores."""
    if not config["common"].get("cpu"):
        return asked or environment_threads() or 1
    jobs = config.get("distributed_training", {}).get("distributed_world_size") or 1
    return choose_threads(asked, run_file=run_file, jobs=int(jobs))


class _Watcher:
    """Follows one child process through its log file."""

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        config: Mapping[str, Any],
        save_dir: Path,
        show: Callable[[Progress], None],
        auto_stop: bool,
    ) -> None:
        self.child, self.save_dir, self.show, self.auto_stop = child, save_dir, show, auto_stop
        self.log_path = Path(config["common"]["log_file"])
        self.max_update = int(config["optimization"]["max_update"])
        self.bands: HealthBands = health_bands(config)
        self.records, self.position = read_log(self.log_path)  # earlier lines of a resumed run
        self.health = Health("starting", "no log line yet")
        self.signals = 0
        self.last_request_s = 0.0
        self.last_plot_s = time.monotonic()

    def follow(self) -> None:
        """Read the log until the child ends; SIGINT and SIGTERM are passed on, a second one kills."""
        previous = {number: signal.signal(number, self._forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            running = True
            while running:
                running = self.child.poll() is None
                self._update()
                self._repeat_request()
                if running:
                    time.sleep(_POLL_S)
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
            if self.child.poll() is None:
                self._signal_group(signal.SIGKILL)

    def finish(self) -> None:
        """Write the final files and raise what went wrong."""
        self._write(force_plot=True)
        updates = max((record.num_updates for record in self.records), default=0)
        record_end(self.save_dir, num_updates=updates, health=self.health.state, finished=updates >= self.max_update)
        if self.auto_stop and self.health.state == "failed":
            raise RunError(f"{self.save_dir}: stopped: {self.health.message}")
        if self.child.returncode != 0:
            raise RunError(f"fairseq-hydra-train ended with {self.child.returncode}: {_last_error(self.save_dir)}")

    def _update(self) -> None:
        found, self.position = read_log(self.log_path, self.position)
        if not found:
            return
        self.records = merge_records([*self.records, *found])
        self.health = judge(self.records, self.bands)
        self._write()
        trained = [record for record in found if record.split == "train"]
        if trained:
            rate = trained[-1].values.get("ups", 0.0)
            self.show(Progress(trained[-1].num_updates, self.max_update, rate, self.health))
        if self.auto_stop and self.health.state == "failed" and self.signals == 0:
            self._forward(signal.SIGTERM, None)

    def _write(self, force_plot: bool = False) -> None:
        write_metrics(self.save_dir / "metrics.csv", self.records)
        verdict = {"state": self.health.state, "message": self.health.message, "chance_bits": self.bands.chance_bits}
        write_text(self.save_dir / "health.json", json.dumps(verdict, indent=2) + "\n")
        if self.records and (force_plot or time.monotonic() - self.last_plot_s > _PLOT_EVERY_S):
            plot_run(self.save_dir / "curves.png", self.records, self.bands)
            self.last_plot_s = time.monotonic()

    def _forward(self, _number: int, _frame: FrameType | None) -> None:
        self.signals += 1
        self._signal_group(signal.SIGTERM if self.signals == 1 else signal.SIGKILL)

    def _repeat_request(self) -> None:
        """Ask again every few seconds: the first request may have come before the engine listened."""
        if self.signals == 1 and time.monotonic() - self.last_request_s > _REQUEST_EVERY_S:
            self._signal_group(signal.SIGTERM)

    def _signal_group(self, number: int) -> None:
        self.last_request_s = time.monotonic()
        if self.child.poll() is None:
            os.killpg(self.child.pid, number)


def _ignore_sigterm() -> None:
    """In the child before it starts: only the processes that train, and can save, take SIGTERM over from this."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _last_error(save_dir: Path) -> str:
    """The last line of the child's output that says something."""
    lines = (save_dir / "console.log").read_text(errors="replace").splitlines()
    spoken = [line.strip() for line in lines if line.strip() and "HYDRA_FULL_ERROR" not in line]
    errors: Sequence[str] = [line for line in spoken if "Error" in line or "Exception" in line] or spoken
    return f"{errors[-1][:300] if errors else 'no output'} (all of it in {save_dir / 'console.log'})"
