"""From a batch of crops to a lesson: the teachers hear the plain crops, the student hears them augmented."""

import torch
from torch import Generator, Tensor, nn

from rfcx_ssl.augment.chain import Augment
from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.distill import Lesson
from rfcx_ssl.selftraining.distillation.recordings import Ears, Heard
from rfcx_ssl.selftraining.distillation.teachers import Teachers


class Lessons(nn.Module):
    """``lessons(heard, generator)`` -> :class:`Lesson`; what moves or mixes sounds moves and mixes the targets, too."""

    def __init__(self, teachers: Teachers, augment: Augment, ears: Ears) -> None:
        super().__init__()
        self.teachers, self.augment, self.ears = teachers, augment, ears

    @torch.no_grad()
    def forward(self, heard: Heard, generator: Generator) -> Lesson:
        """Ask the teachers, then change what the student hears."""
        device = heard.waveform.device
        num_frames = self.teachers.grid.num_frames(heard.waveform.shape[1])
        frame, clip, embedding = (part.to(device) for part in self.teachers.hear(self.ears.by_rate(heard), num_frames))
        known = self.teachers.known.to(device, torch.float32)
        batch = Batch(heard.waveform, frame, _like(frame, known), clip, _like(clip, known), heard.index)
        changed: Batch = self.augment(batch, generator)
        return Lesson(**changed._asdict(), embedding=embedding)


def _like(target: Tensor, known: Tensor) -> Tensor:
    """What is known of every cell (..., S), from what is known of the species (S,)."""
    return known.expand(target.shape).contiguous()
