"""Let a trained model hear the test recordings, through the windows it was validated with, and time it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.audio import read_audio
from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.windows import predict_recording
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.report.runs import RunFacts


@dataclass(frozen=True)
class Heard:
    """What one model says about R recordings: probabilities per species, and what it took."""

    facts: RunFacts
    clip: FloatArray  # (R, S)
    frames: list[NDArray[np.float32]]  # R of (T, S)
    durations_s: list[float]  # R
    grid: FrameGrid
    parameters: int
    times_real_time: float  # seconds of audio per second of computing, decoding left out


def hear(
    facts: RunFacts,
    paths: tuple[Path, ...],
    species_names: Sequence[str],
    device: str,
    tick: Callable[[], None] = lambda: None,
) -> Heard:
    """Score every recording with the model of a run; ``tick`` is called after each recording.

    Raises:
        CheckpointError: the model cannot be loaded, or knows other species. AudioError: a recording cannot be read.
    """
    model = load_model(str(facts.model), device)
    if model.space.species_names != tuple(species_names):
        raise CheckpointError(
            f"model {facts.model}: its {model.space.num_species} species are not the {len(species_names)} of the truth"
        )
    rate = model.config.sample_rate_hz
    clip, frames, durations_s, busy_s = [], [], [], 0.0
    for place, path in enumerate(paths):
        waveform = torch.from_numpy(read_audio(path, sample_rate_hz=rate))
        if place == 0:
            predict_recording(model, waveform)  # the first run pays for start-up work
        start = time.perf_counter()
        scores = predict_recording(model, waveform)
        clip.append(scores.clip.double().cpu().numpy())  # waits for the device
        busy_s += time.perf_counter() - start
        frames.append(scores.frame.float().cpu().numpy())
        durations_s.append(len(waveform) / rate)
        tick()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    speed = sum(durations_s) / busy_s
    return Heard(facts, np.stack(clip), frames, durations_s, model.grid, parameters, speed)
