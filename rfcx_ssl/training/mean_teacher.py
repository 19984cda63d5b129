"""Mean teachers: the run's moving average says what the student should hear where nobody judged."""

import math

import torch
from accelerate import Accelerator
from torch import nn

from rfcx_ssl.labels import Batch, TaughtBatch
from rfcx_ssl.settings import settings
from rfcx_ssl.training.schedule import count_steps


@settings
class MeanTeacherSettings:
    """Consistency with the moving average of the weights (``average.ema``) on unknown cells."""

    weight: float  # of the consistency, when trust is full; frames and clips share it by loss.clip_ratio
    ramp: float = (
        0.25  # share of all steps below 1, otherwise a number of steps, until trust is full; 0: from the start
    )

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if self.weight <= 0:
            raise ValueError(f"weight={self.weight} must be above 0; null has no teacher")
        if self.ramp < 0:
            raise ValueError(f"ramp={self.ramp} must be 0 or more")

    def trust(self, step: int, total_steps: int) -> float:
        """How much the teacher counts in optimizer step ``step`` (from 0): exp(-5 (1 - x)^2), x from 0 to 1 over the ramp.

        The ramp of Tarvainen and Valpola 2017, from Laine and Aila 2017 (arXiv:1610.02242).
        """
        ramp = count_steps(self.ramp, total_steps)
        missing = max(0.0, 1.0 - step / ramp) if ramp else 0.0
        return math.exp(-5.0 * missing**2)


@torch.no_grad()
def teach(model: nn.Module, heard: Batch, seen: Batch, trust: float, accelerator: Accelerator) -> TaughtBatch:
    """``seen`` with what ``model``, in evaluation mode, says of ``heard``: the same crops on the same frames.

    Args:
        model: the teacher.
        heard: the crops as the teacher hears them.
        seen: the crops as the student hears them; its labels are those of ``heard``.
        trust: how much the teacher counts, in [0, 1].
        accelerator: for its autocast, under which the student runs as well.
    """
    with accelerator.autocast():
        output = model(heard.waveform)
    frame, clip = output.frame_logits.float().sigmoid(), output.clip_logits.float().sigmoid()
    return TaughtBatch(*seen, frame, clip, frame.new_tensor(trust))
