"""Let a trained model hear recordings, through the windows it was validated with, and time it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.errors import CheckpointError, some_of
from rfcx_ssl.evaluation.decided import own_decisions
from rfcx_ssl.evaluation.reference import Boxes, Reference
from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.progress import open_bars

Frames = NDArray[np.float32]
MOST_NAMED = 3  # species in a message


@dataclass(frozen=True)
class Heard:
    """What one model says about R recordings: probabilities per species of the reference, and what it took."""

    facts: RunFacts
    clip: FloatArray  # (R, S)
    peaks: FloatArray  # (R, S) the best frame
    frames: dict[int, Frames]  # (T, S) by row, of the recordings whose events can be judged
    boxes: Boxes  # judged boxes of each recording, on the model's frames
    box_scores: NDArray[np.float32]  # (n,) of all of them, recording by recording: the best frame
    durations_s: list[float]  # R
    grid: FrameGrid
    parameters: int
    times_real_time: float  # seconds of audio per second of computing, decoding left out
    train_prevalence: FloatArray | None = None  # (S,) of the crops it was trained on, NaN where unknown
    decisions: Decisions | None = None  # its own, which scores here know nothing of


def hear_all(facts: Mapping[str, RunFacts], reference: Reference, device: str, console: Console) -> dict[str, Heard]:
    """Let every model hear all recordings, with a progress bar where ``console`` is a terminal; errors as of :func:`hear`."""
    with open_bars(console) as progress:
        heard = {}
        for name, run in facts.items():
            task = progress.add_task(f"hearing with {name}", total=len(reference.paths))
            heard[name] = hear(run, reference, device, partial(progress.advance, task))
    return heard


def hear(facts: RunFacts, reference: Reference, device: str, tick: Callable[[], None] = lambda: None) -> Heard:
    """Score every recording with the model of a run; ``tick`` is called after each recording.

    Raises:
        CheckpointError: the model or its decisions cannot be loaded, or it does not know a species of the reference.
        AudioError: a recording cannot be read.
    """
    model = load_model(str(facts.model), device)
    columns = species_columns(str(facts.model), model.space.species_names, reference.space.species_names)
    decisions = own_decisions(str(facts.model), model.space.species_names, columns)
    rate, grid, boxes = model.config.sample_rate_hz, model.grid, reference.boxes(model.grid)
    clip, peaks, frames, box_scores, durations_s, busy_s = [], [], {}, [], [], 0.0
    for row, path in enumerate(reference.paths):
        waveform = torch.from_numpy(read_audio(path, sample_rate_hz=rate))
        if row == 0:
            predict_recording(model, waveform)  # the first run pays for start-up work
        start = time.perf_counter()
        scores = predict_recording(model, waveform)
        clip.append(scores.clip.double().cpu().numpy()[columns])  # waits for the device
        busy_s += time.perf_counter() - start
        of_frames = scores.frame.float().cpu().numpy()[:, columns]
        peaks.append(of_frames.max(axis=0).astype(np.float64))
        box_scores += [float(of_frames[box.frames, box.species_id].max()) for box in boxes[row]]
        if reference.timed[row]:
            frames[row] = of_frames
        durations_s.append(len(waveform) / rate)
        tick()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    trained = model.config.train_prevalence
    return Heard(
        facts,
        np.stack(clip),
        np.stack(peaks),
        frames,
        boxes,
        np.array(box_scores, np.float32),
        durations_s,
        grid,
        parameters,
        times_real_time=sum(durations_s) / busy_s,
        train_prevalence=None if trained is None else np.array(trained, np.float64)[columns],
        decisions=decisions,
    )


def species_columns(model: str, known: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Column of each wanted species among those that a model knows; what else it knows is not judged.

    Raises:
        CheckpointError: it does not know one of them, naming a few that are missing and left over.
    """
    if missing := [name for name in wanted if name not in known]:
        over = [name for name in known if name not in wanted]
        raise CheckpointError(
            f"model {model}: its {len(known)} species are not the {len(wanted)} of the truth: it lacks {some_of(missing, MOST_NAMED)}"
            + (f", and has {some_of(over, MOST_NAMED)} instead" if over else "")
        )
    place = {name: column for column, name in enumerate(known)}
    return [place[name] for name in wanted]
