"""Score recordings of any length by overlapping windows, merged on the model's frame grid.

The recording may arrive in blocks; memory depends on the window and the batch, not on the recording.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.settings import DEFAULT_AGGREGATE, DEFAULT_OVERLAP, Aggregate, WindowSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.outputs import merge_outputs
from rfcx_ssl.settings import from_plain

AS_VALIDATED = WindowSettings()


class Windows(NamedTuple):
    """Windows in force: nothing is left open. The keys are those of :class:`WindowSettings`."""

    window_s: float
    overlap: float
    aggregate: Aggregate

    def on_grid(self, grid: FrameGrid) -> tuple[int, int]:
        """Length of a window and distance between window starts, in samples of whole frames: rounded up and down."""
        length = round(self.window_s * grid.sample_rate_hz)
        step = round(length * (1 - self.overlap))
        frame = grid.hop_samples
        return grid.num_frames(length) * frame, max(step // frame, 1) * frame


class WindowedScores(NamedTuple):
    """Probabilities per species of one recording, float32 on the CPU."""

    frame: Tensor  # (T, S) on the recording's frame grid
    clip: Tensor  # (S,) over all windows


class ScoredFrames(NamedTuple):
    """A piece of a recording's scores whose windows have all been seen."""

    first_frame: int
    frame: Tensor  # (t, S) frames first_frame .. first_frame + t - 1
    clip: Tensor  # (S,) over all windows so far; the last piece holds the recording's


def windows_in_force(model: RainforestSedModel, wanted: WindowSettings = AS_VALIDATED) -> Windows:
    """What is ``wanted``; where that is None, what the model was validated with (``config.windows``, which training
    writes); failing that, windows of the model's own length, each half overlapping the next, merged by maximum.

    Raises:
        ConfigError: the windows in the model's config break a rule.
    """
    saved = from_plain(WindowSettings, model.config.windows or {}, "config.json: windows")
    own = Windows(model.config.window_samples / model.grid.sample_rate_hz, DEFAULT_OVERLAP, DEFAULT_AGGREGATE)
    by_rank = [[getattr(source, key) for source in (wanted, saved, own)] for key in Windows._fields]
    return Windows(*(next(value for value in values if value is not None) for values in by_rank))


def predict_recording(
    model: RainforestSedModel, waveform: Tensor, windows: WindowSettings = AS_VALIDATED, *, batch_size: int = 8
) -> WindowedScores:
    """Score a whole recording.

    Args:
        model: in evaluation mode; inference runs on its device.
        waveform: (N,) mono at ``model.config.sample_rate_hz``.
        windows: as the model was validated by default; see :func:`windows_in_force`.
        batch_size: windows per forward pass.

    Returns:
        Frame probabilities (``model.grid.num_frames(N)``, S) and clip probabilities (S,), outputs of one species
        merged by max and noise left out.
    """
    pieces = list(predict_stream(model, [waveform], windows, batch_size=batch_size))
    return WindowedScores(torch.cat([piece.frame for piece in pieces]), pieces[-1].clip)


def predict_stream(
    model: RainforestSedModel,
    blocks: Iterable[Tensor],
    windows: WindowSettings = AS_VALIDATED,
    *,
    batch_size: int = 8,
) -> Iterator[ScoredFrames]:
    """As :func:`predict_recording`, for a recording that arrives in blocks (n,) and leaves in finished pieces."""
    if model.training:
        raise ConfigError("predict with the model in evaluation mode: call model.eval() first")
    chosen, frame = windows_in_force(model, windows), model.grid.hop_samples
    window, step = chosen.on_grid(model.grid)
    merger = _Merger(chosen.aggregate)
    starts: list[int] = []
    batch: list[Tensor] = []
    for start, samples in _cut(blocks, window, step, frame):
        starts.append(start // frame)
        batch.append(samples)
        if len(batch) == batch_size:
            yield from merger.add(starts, *_score(model, torch.stack(batch)))
            starts, batch = [], []
    if batch:
        yield from merger.add(starts, *_score(model, torch.stack(batch)))
    yield merger.finish()


@torch.inference_mode()
def _score(model: RainforestSedModel, windows: Tensor) -> tuple[Tensor, Tensor]:
    """Windows (b, n) -> frame (b, t, S) and clip (b, S) probabilities on the CPU."""
    output = model(windows.to(model.device, torch.float32))
    frame = merge_outputs(output.frame_logits.float().sigmoid(), model.space)
    clip = merge_outputs(output.clip_logits.float().sigmoid(), model.space)
    return frame.cpu(), clip.cpu()


def _cut(blocks: Iterable[Tensor], window: int, step: int, frame: int) -> Iterator[tuple[int, Tensor]]:
    """Windows of a recording as (first sample, samples).

    They start every ``step`` samples; the last one is moved back to end with the recording, on the frame grid, so it
    is zero-padded by less than one frame. A recording shorter than a window is one window as it is.
    """
    start = 0
    before = torch.zeros(0)  # the step of samples before the buffer
    buffer = torch.zeros(0)  # from sample ``start`` on
    for block in blocks:
        buffer = torch.cat([buffer, block.detach().reshape(-1).to("cpu", torch.float32)])
        while len(buffer) > window:
            yield start, buffer[:window]
            before, buffer = buffer[:step], buffer[step:]
            start += step
    if start == 0:
        if len(buffer):
            yield 0, buffer
        return
    tail = torch.cat([before, buffer])  # longer than a window
    offset = -(-(len(tail) - window) // frame) * frame
    last = tail[offset : offset + window]
    yield start - step + offset, F.pad(last, (0, window - len(last)))


class _Merger:
    """Accumulate windows on the recording's grid; frames before the newest window's start are final."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.aggregate = aggregate
        self.first = 0  # recording frame of row 0 of ``frame``
        self.num_windows = 0
        self.frame = torch.zeros(0)  # (t, S) sum or max so far
        self.count = torch.zeros(0)  # (t,) windows that saw the frame
        self.clip = torch.zeros(0)  # (S,) sum or max so far

    def add(self, starts: list[int], frame: Tensor, clip: Tensor) -> Iterator[ScoredFrames]:
        """Merge windows (b, t, S) and (b, S) that start at frames ``starts``, in order; yields what is final."""
        if not self.num_windows:
            self.frame, self.clip = frame.new_zeros(0, frame.shape[2]), torch.zeros_like(clip[0])
        for start, rows in zip(starts, frame, strict=True):
            self._merge(start - self.first, rows)
        self.num_windows += len(starts)
        if self.aggregate == "max":
            self.clip = torch.maximum(self.clip, clip.amax(dim=0))
        else:
            self.clip = self.clip + clip.sum(dim=0)
        if starts[-1] > self.first:
            yield self._take(starts[-1] - self.first)

    def finish(self) -> ScoredFrames:
        """What is left, and the clip score."""
        if not self.num_windows:
            raise ConfigError("the recording has no samples")
        return self._take(len(self.frame))

    def _merge(self, start: int, rows: Tensor) -> None:
        """Add one window's rows (t, S) at row ``start``."""
        stop = start + len(rows)
        missing = max(stop - len(self.frame), 0)
        self.frame = F.pad(self.frame, (0, 0, 0, missing))
        self.count = F.pad(self.count, (0, missing))
        if self.aggregate == "max":
            self.frame[start:stop] = torch.maximum(self.frame[start:stop], rows)
        else:
            self.frame[start:stop] += rows
        self.count[start:stop] += 1

    def _take(self, num_rows: int) -> ScoredFrames:
        mean = self.aggregate == "mean"
        frame = self.frame[:num_rows] / self.count[:num_rows, None] if mean else self.frame[:num_rows].clone()
        piece = ScoredFrames(self.first, frame, self.clip / self.num_windows if mean else self.clip)
        self.frame, self.count = self.frame[num_rows:], self.count[num_rows:]
        self.first += num_rows
        return piece
