"""Cut a recording that arrives in blocks into windows, and put their scores together on its frame grid."""

import torch
import torch.nn.functional as F
from torch import Tensor

from rfcx_ssl.inference.settings import Aggregate


class Cutter:
    """Windows of a recording as (first sample, samples).

    They start every ``step`` samples; the last one is moved back to end with the recording, on the grid of frames of
    ``hop`` samples, so it is zero-padded by less than one frame. A recording shorter than a window is one window as it is.
    """

    def __init__(self, window: int, step: int, hop: int) -> None:
        self._window, self._step, self._hop = window, step, hop
        self._start = 0  # sample of the recording at which the buffer starts
        self._before = torch.zeros(0)  # the step of samples before the buffer
        self._buffer = torch.zeros(0)
        self.padding = 0  # zeros at the end of the last window, once it is there

    def push(self, block: Tensor) -> list[tuple[int, Tensor]]:
        """Take the next samples (n,); windows that are complete, and surely not the last one."""
        found = []
        self._buffer = torch.cat([self._buffer, block.detach().reshape(-1).to("cpu", torch.float32)])
        while len(self._buffer) > self._window:
            found.append((self._start, self._buffer[: self._window]))
            self._before, self._buffer = self._buffer[: self._step], self._buffer[self._step :]
            self._start += self._step
        return found

    def finish(self) -> list[tuple[int, Tensor]]:
        """The last window; none where the recording has no samples."""
        if self._start == 0:
            return [(0, self._buffer)] if len(self._buffer) else []
        tail = torch.cat([self._before, self._buffer])  # longer than a window
        offset = -(-(len(tail) - self._window) // self._hop) * self._hop
        last = tail[offset : offset + self._window]
        self.padding = self._window - len(last)
        return [(self._start - self._step + offset, F.pad(last, (0, self.padding)))]


class Merger:
    """Accumulate windows on the recording's grid; frames before the newest window's start are final."""

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        self.first = 0  # recording frame of the first row that was not taken yet
        self.newest = 0  # frame at which the newest window starts
        self.num_windows = 0
        self._frame = torch.zeros(0)  # (t, S) sum or max so far
        self._count = torch.zeros(0)  # (t,) windows that saw the frame
        self._clip = torch.zeros(0)  # (S,) sum or max so far

    def add(self, start: int, frame: Tensor, clip: Tensor) -> None:
        """Merge the next window, (t, S) and (S,), which starts at frame ``start``."""
        if not self.num_windows:
            self._frame, self._clip = frame.new_zeros(0, frame.shape[1]), torch.zeros_like(clip)
        self._merge(start - self.first, frame)
        self._clip = torch.maximum(self._clip, clip) if self._aggregate == "max" else self._clip + clip
        self.newest = start
        self.num_windows += 1

    @property
    def clip(self) -> Tensor:
        """Scores (S,) over all windows so far."""
        return self._clip / self.num_windows if self._aggregate == "mean" else self._clip

    def take_final(self) -> Tensor:
        """Frames (t, S) from ``first`` on that no later window can change; ``first`` moves behind them."""
        return self._take(self.newest - self.first)

    def take_all(self) -> Tensor:
        """What is left when all windows were added."""
        return self._take(len(self._frame))

    def _merge(self, start: int, rows: Tensor) -> None:
        """Add one window's rows (t, S) at row ``start``."""
        stop = start + len(rows)
        missing = max(stop - len(self._frame), 0)
        self._frame = F.pad(self._frame, (0, 0, 0, missing))
        self._count = F.pad(self._count, (0, missing))
        if self._aggregate == "max":
            self._frame[start:stop] = torch.maximum(self._frame[start:stop], rows)
        else:
            self._frame[start:stop] += rows
        self._count[start:stop] += 1

    def _take(self, num_rows: int) -> Tensor:
        taken = self._frame[:num_rows]
        frame = taken / self._count[:num_rows, None] if self._aggregate == "mean" else taken.clone()
        self._frame, self._count = self._frame[num_rows:], self._count[num_rows:]
        self.first += num_rows
        return frame
