"""Stop requests: SIGTERM and SIGINT are noted, and obeyed between two optimizer steps."""

import ctypes
import os
import signal
import sys
import time
from types import FrameType, TracebackType
from typing import Self

SET_BY_LAUNCHERS = (
    "RFCX_SSL_LAUNCHED",
    "ACCELERATE_MIXED_PRECISION",
    "TORCHELASTIC_RUN_ID",
)  # ours, accelerate's, torchrun's
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class StopRequest:
    """Context manager that notes SIGTERM and SIGINT; a SIGINT more than 2 s after the first acts at once.

    (One Ctrl-C reaches a process of torchrun twice: from the terminal, and from torchrun.)
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._noted_at_s = 0.0
        self._before: dict[int, object] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.signal is not None and number == signal.SIGINT and now_s - self._noted_at_s > 2:
            raise KeyboardInterrupt
        if self.signal is None:
            self.signal, self._noted_at_s = number, now_s


def stop_with_launcher() -> None:
    """Ask Linux for a SIGTERM when the launcher dies, so that no orphan goes on training; elsewhere does nothing.

    A program that a shell started outlives it (``nohup``).
    """
    if sys.platform == "linux" and any(name in os.environ for name in SET_BY_LAUNCHERS):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
