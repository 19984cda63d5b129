"""Run many fine-tunings, each its own launch of finetune/train.py: one after another, or one per GPU."""

import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from rfcx_ssl.errors import RunError
from rfcx_ssl.threads import choose_threads
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.signals import SET_BY_LAUNCHERS

SIGNAL_CODES = (128 + signal.SIGTERM, 128 + signal.SIGINT, -signal.SIGTERM, -signal.SIGINT)


@dataclass(frozen=True)
class Launch:
    """One run: its folder and its overrides of configs/finetune/train.yaml."""

    output_dir: Path
    overrides: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        """Arguments of finetune/train.py."""
        quoted = str(self.output_dir).replace("'", r"\'")  # Hydra would split a,b
        return [*self.overrides, f"output_dir='{quoted}'"]


def default_launcher() -> str:
    """This Python: one process per run, whose errors and exit codes come through as they are."""
    return shlex.quote(sys.executable)


class Launcher:
    """Starts runs and waits for them. SIGTERM and SIGINT are passed on; the runs save and can be resumed.

    Args:
        program: finetune/train.py.
        launcher: the words before it, as for a shell.
        devices: one run at a time on each of these (``CUDA_VISIBLE_DEVICES``); empty: one at a time, all devices.
        logs: folder of one log per run, used where several run at once; a single run writes to the terminal.
    """

    def __init__(self, program: Path, launcher: str, devices: Sequence[str], logs: Path) -> None:
        self.command = [*shlex.split(launcher), str(program)]
        self.devices = list(devices)
        self.logs = logs
        # Runs that start together do not see each other's load: they share what is free now.
        self.threads = choose_threads(jobs=len(self.devices)) if len(self.devices) > 1 else None
        self.is_stopped = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run_all(self, launches: Sequence[Launch]) -> list[Launch]:
        """Run what is not finished; returns the launches that failed.

        Raises:
            RunError: a signal stopped us; the same command goes on.
        """
        before = {number: signal.signal(number, self._pass_on) for number in (signal.SIGTERM, signal.SIGINT)}
        failed: list[Launch] = []
        waiting: queue.SimpleQueue[Launch] = queue.SimpleQueue()
        for launch in launches:
            if not RunFolder(launch.output_dir).is_finished:
                waiting.put(launch)
        try:
            # Threads only wait for processes; the main thread stays free for signals.
            devices: list[str | None] = [*self.devices] or [None]
            threads = [threading.Thread(target=self._work, args=(waiting, device, failed)) for device in devices]
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(timeout=0.2)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        if self.is_stopped:
            raise RunError("stopped by a signal; the same command goes on with what is left")
        return failed

    def _work(self, waiting: "queue.SimpleQueue[Launch]", device: str | None, failed: list[Launch]) -> None:
        while not self.is_stopped:
            try:
                launch = waiting.get_nowait()
            except queue.Empty:
                return
            code = self._run(launch, device)
            if code in SIGNAL_CODES:
                self.is_stopped = True
            elif code != 0:
                failed.append(launch)

    def _run(self, launch: Launch, device: str | None) -> int:
        environment = {**os.environ, SET_BY_LAUNCHERS[0]: "1"}
        if device is not None:
            environment["CUDA_VISIBLE_DEVICES"] = device
        if self.threads is not None:
            environment["OMP_NUM_THREADS"] = str(self.threads)
        log = None
        if len(self.devices) > 1:
            self.logs.mkdir(parents=True, exist_ok=True)
            log = (self.logs / f"{launch.output_dir.parent.name}_{launch.output_dir.name}.log").open("ab")
        command = [*self.command, *launch.arguments]
        # Its own session: a Ctrl-C in the terminal reaches the run once, from us.
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        with self._lock:
            self._running.add(process)
        if self.is_stopped:  # the signal came between the check and the start
            os.killpg(process.pid, signal.SIGTERM)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
            if log is not None:
                log.close()

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self.is_stopped = True
        for process in list(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
