"""Windows in force: what the model hears at once, how far the next window is, and how they share a frame."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.settings import DEFAULT_AGGREGATE, DEFAULT_OVERLAP, Aggregate, WindowSettings
from rfcx_ssl.models.modeling import RainforestSedModel
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

    def num_windows(self, num_samples: int, grid: FrameGrid) -> int:
        """How many windows a recording of ``num_samples`` has."""
        window, step = self.on_grid(grid)
        return 1 if num_samples <= window else -(-(num_samples - window) // step) + 1


def windows_in_force(model: RainforestSedModel, wanted: WindowSettings = AS_VALIDATED) -> Windows:
    """What is ``wanted``; where that is None, what the model was validated with (``config.windows``, which training
    writes); failing that, windows of the model's own length, each half overlapping the next, merged by maximum.

    Raises:
        ConfigError: the windows in the model's config break a rule.
    """
    own_s = model.config.window_samples / model.grid.sample_rate_hz
    return choose_windows(wanted, model.config.windows, own_s, "config.json: windows")


def choose_windows(wanted: WindowSettings, saved: Mapping[str, Any] | None, own_s: float, source: str) -> Windows:
    """The rule of :func:`windows_in_force`; ``saved`` are plain values, which errors call ``source``."""
    validated = from_plain(WindowSettings, saved or {}, source)
    own = Windows(own_s, DEFAULT_OVERLAP, DEFAULT_AGGREGATE)
    by_rank = [[getattr(rank, key) for rank in (wanted, validated, own)] for key in Windows._fields]
    return Windows(*(next(value for value in values if value is not None) for values in by_rank))
