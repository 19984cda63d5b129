"""Validation as inference is done: whole recordings through the model's windows, scored on known cells."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from accelerate.utils import gather_object
from torch import nn

from rfcx_ssl.files import atomic_path
from rfcx_ssl.metrics import average_precision, lwlrap, prior_floor, random_average_precision, random_floor, roc_auc
from rfcx_ssl.pictures.validation import draw_scores
from rfcx_ssl.training.learner import Session
from rfcx_ssl.training.parts import FloatArray, Validation

READ_AHEAD = 4  # recordings


def score_recordings(session: Session, validation: Validation) -> FloatArray:
    """Clip probabilities (R, S) of all validation recordings by ``session.model``, the same on every process.

    Each process scores every ``num_processes``-th recording; names travel with the scores, so that uneven shares
    neither repeat nor lose a recording. A sharded model runs on all processes in step, so there each scores all.
    """
    accelerator, model = session.accelerator, session.model
    mine = validation.recording_ids
    if not session.is_sharded:
        mine = mine[accelerator.process_index :: accelerator.num_processes]
    was_training = model.training
    model.eval()
    scored: list[tuple[str, list[float]]] = []
    with torch.inference_mode(), accelerator.autocast():
        for name, waveform in read_ahead(mine, validation.read):
            scored.append((name, validation.predict(model, waveform).clip.tolist()))
    model.train(was_training)
    by_name = dict(gather_object(scored))
    return np.array([by_name[name] for name in validation.recording_ids], dtype=np.float32)


def read_ahead(names: Sequence[str], read: Callable[[str], FloatArray]) -> Iterator[tuple[str, FloatArray]]:
    """Read recordings in a thread while the model works on the one before."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting: deque[tuple[str, Future[FloatArray]]] = deque()
        for name in names:
            waiting.append((name, pool.submit(read, name)))
            if len(waiting) > READ_AHEAD:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def validation_metrics(validation: Validation, scores: FloatArray) -> dict[str, float]:
    """Metrics of ``scores`` (R, S) on known cells beside two floors: random scores, and the training prevalence.

    NaN where a metric is not defined. ``lwlrap/<species>`` are per class.
    """
    truth, known = validation.truth, validation.known
    ranking = lwlrap(truth, scores, known)
    precision = average_precision(truth, scores, known)
    area = roc_auc(truth, scores, known)
    values = {
        "lwlrap": ranking.overall,
        "lwlrap_random_floor": random_floor(truth, known).overall,
        "lwlrap_prior_floor": prior_floor(truth, validation.prevalence, known).overall,
        "map": precision.macro,
        "map_micro": precision.micro,
        "map_random_floor": random_average_precision(truth, known),
        "auc": area.macro,
        "auc_micro": area.micro,
        "known_share": float(known.mean()),
    }
    names = validation.species_names
    values |= {f"lwlrap/{name}": value for name, value in zip(names, ranking.per_class.tolist(), strict=True)}
    return {key: float(value) for key, value in values.items()}


def write_scores(path: Path, validation: Validation, scores: FloatArray, fold: int | None, seed: int) -> None:
    """Write out-of-fold scores, one row per recording: ``score_S``, ``truth_S``, ``known_S`` for every species."""
    import pandas as pd

    columns: dict[str, object] = {"recording_id": validation.recording_ids, "fold": fold, "seed": seed}
    for species in range(scores.shape[1]):
        columns[f"score_{species}"] = scores[:, species]
        columns[f"truth_{species}"] = validation.truth[:, species]
        columns[f"known_{species}"] = validation.known[:, species]
    with atomic_path(path) as temporary:
        pd.DataFrame(columns).to_parquet(temporary, index=False)


def write_pictures(folder: Path, step: int, model: nn.Module, validation: Validation, count: int) -> list[Path]:
    """Draw the ``count`` recordings with the most labelled species into ``folder/step_N``; returns the files."""
    if count == 0:
        return []
    rows = np.argsort(-(validation.truth & validation.known).sum(axis=1), kind="stable")[:count]
    target = folder / f"step_{step:07d}"
    target.mkdir(exist_ok=True)
    was_training = model.training
    model.eval()
    paths = [target / f"{validation.recording_ids[row]}.png" for row in rows]
    for path in paths:
        waveform = validation.read(path.stem)
        scores, labels = validation.predict(model, waveform), validation.frame_labels(path.stem)
        draw_scores(
            path,
            waveform,
            validation.sample_rate_hz,
            labels.target,
            labels.known,
            scores.frame,
            scores.clip,
            validation.frame_s,
            validation.species_names,
        )
    model.train(was_training)
    return paths
