"""Which encoder layers learn when: frozen for ever, frozen at first, thawed one by one from the top."""

import torch
from torch import nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.settings import settings
from rfcx_ssl.training.schedule import count_steps


@settings
class FreezeSettings:
    """Layers without gradient. Depths count from the waveform, as ``model.layer_depth`` does; numbers of steps below 1
    are a share of all steps.
    """

    below: int = 0  # layers of a depth below this never learn (1: wav2vec 2.0's convolutions); -1: the whole encoder
    until: float = 0.0  # the whole encoder waits for so many steps, while the new layers learn
    thaw: float = 0.0  # then its layers join one by one, from the top, over so many steps; 0: all at once

    def __post_init__(self) -> None:
        if self.below < -1:
            raise ValueError(f"below={self.below} must be -1 (the whole encoder) or more")
        if self.until < 0 or self.thaw < 0:
            raise ValueError(f"until={self.until} and thaw={self.thaw} must be 0 or more")
        if not (self.below or self.until or self.thaw):
            raise ValueError("below, until or thaw must freeze something; null freezes nothing")

    def depth(self, step: int, total_steps: int, num_depths: int) -> int:
        """Layers below this depth are frozen in the step after ``step``; a pure function, so resuming needs no state.

        Raises:
            ConfigError: the model has fewer layers than ``below``.
        """
        top = num_depths - 1  # of the new layers, which always learn
        if self.below > top:
            raise ConfigError(f"optim.freeze.below={self.below}: the encoder's layers have depths 0 to {top - 1}")
        floor = top if self.below < 0 else self.below
        start, span = count_steps(self.until, total_steps), count_steps(self.thaw, total_steps)
        if step < start:
            return top
        if step >= start + span:
            return floor
        thawed = 1 + (step - start) * (top - floor) // span
        return max(floor, top - thawed)


class Freezer:
    """Applies a schedule to a model with ``num_depths`` and ``freeze_below(depth)``, compiled or not.

    Raises:
        ConfigError: something is to be frozen and the model cannot.
    """

    def __init__(
        self, settings: FreezeSettings | None, model: nn.Module, total_steps: int, *, compiled: bool = False
    ) -> None:
        if settings is not None and not hasattr(model, "freeze_below"):
            raise ConfigError("optim.freeze needs a model that knows its layers' depth")
        self.settings = settings
        self.model = model
        self.total_steps = total_steps
        self.compiled = compiled
        self.depth = 0

    def __call__(self, step: int) -> None:
        """Freeze and thaw for the step after ``step``."""
        if self.settings is None:
            return
        depth = self.settings.depth(step, self.total_steps, int(self.model.num_depths))  # type: ignore[arg-type]
        if depth != self.depth:
            self.model.freeze_below(depth)  # type: ignore[operator]
            self.depth = depth
            if self.compiled:  # a graph that was traced with frozen layers would never give them a gradient
                torch._dynamo.reset()
