"""Fine-tuning from settings: builds data, model, augmentation and loss, and runs the loop on them."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from rfcx_ssl.augment import AugmentSettings, build_augment
from rfcx_ssl.config import settings_dict
from rfcx_ssl.data import Corpus, CropDataset, DataSettings, collate, load_corpus, recording_truth
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.models.warm_start import warm_start
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings
from rfcx_ssl.provenance import hash_files
from rfcx_ssl.settings import settings
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.threads import use_threads
from rfcx_ssl.training.learner import Parts, make_accelerator, seed_everything
from rfcx_ssl.training.prevalence import scaled_prevalence, train_prevalence
from rfcx_ssl.training.rules import check_activity, check_mixing
from rfcx_ssl.training.settings import EvaluationSettings, LoopSettings
from rfcx_ssl.training.trainer import fit
from rfcx_ssl.training.validation import FloatArray, RecordingScores, Validation

SPENT = ("encoder", "encoder_weights", "window_s")  # of a model: where its first weights came from, its window
LABELS_FILE = "labels.csv"  # of a run folder: the recordings inside the label budget


@settings
class StartSettings:
    """A trained model whose weights a run starts from."""

    model: str  # RUN/model, or a model on the hub
    extend: bool = False  # its species may differ: outputs that both have keep their rows


@settings
class TrainSettings(LoopSettings):
    """Everything a fine-tuning run is a function of; ``configs/finetune/train.yaml`` composes it."""

    model: ModelSettings
    data: DataSettings
    augment: AugmentSettings
    loss: LossSettings
    start: StartSettings | None = None  # go on from a trained model, also for other species
    fold: int | None = 0  # validation fold; null trains on everything and keeps the last weights

    def __post_init__(self) -> None:
        """Check the rules between components."""
        super().__post_init__()
        if self.fold is not None and not 0 <= self.fold < self.data.num_folds:
            raise ValueError(f"fold={self.fold} must be in [0, {self.data.num_folds}) or null")
        if isinstance(self.model, Wav2Vec2Settings) and self.model.layerdrop and not self.find_unused_parameters:
            raise ValueError("model.layerdrop needs find_unused_parameters=true: a layer left out gets no gradient")


def train(settings: TrainSettings) -> Path:
    """Fine-tune as ``settings`` say; returns the run folder (docs/finetuning.md tells what is in it).

    Called by every process of an ``accelerate launch`` or ``torchrun`` alike, and resumes what it finds.

    Raises:
        RfcxError: wrong settings, data or run folder; a signal asked to stop.
    """
    use_threads(settings.threads, run_file=Path(settings.output_dir) / "run.json")
    accelerator = make_accelerator(settings)
    return fit(settings, build_parts(settings, accelerator), accelerator)


def build_parts(settings: TrainSettings, accelerator: Accelerator) -> Parts:
    """Model, data, augmentation and loss of a run."""
    check_mixing(settings, settings.augment, accelerator.num_processes)
    with accelerator.main_process_first():  # which may write folds and the audio cache
        corpus = load_corpus(settings.data).within_budget(settings.fold)
    if corpus.budget is not None:
        accelerator.print(corpus.budget.summary())
    check_activity(settings.loss, settings.model.head.activity, corpus, settings.fold)
    seed_everything(settings.seed, step=0, rank=0)  # every process builds the same weights
    model = first_model(settings.model, settings.start, settings.data.crop_s, corpus.space)
    windows = windows_in_force(model, settings.evaluation)
    model.config.windows = windows._asdict()  # saved with the model: it is heard as it was validated
    if abs(windows.window_s - settings.data.crop_s) * model.grid.sample_rate_hz >= 1:
        accelerator.print(
            f"windows of {windows.window_s:g} s, but training crops of data.crop_s={settings.data.crop_s:g} s"
        )
    grid, space = model.grid, model.space
    train_set = CropDataset(corpus, settings.fold, grid, space, seed=settings.seed)
    model.config.train_prevalence = train_prevalence(train_set, settings.loss)
    model.config.scaled_prevalence = scaled_prevalence(settings.data) or model.config.scaled_prevalence  # of its start
    label_rules = {"coverage": settings.data.coverage, "edge_tolerance_s": settings.data.edge_tolerance_s}
    chain = build_augment(settings.augment, grid, space, **label_rules).train().to(accelerator.device)
    augment, disturb = (chain, None) if settings.mean_teacher is None else chain.split()
    validation = None if settings.fold is None else build_validation(corpus, settings.fold, model, settings.evaluation)
    loss = build_loss(settings.loss, space, model.embedding_dim, teacher_weight=settings.teacher_weight)
    return Parts(
        model=model,
        loss=loss.to(accelerator.device),
        augment=augment,
        disturb=disturb,
        train_set=train_set,
        collate=collate,
        sample_rate_hz=grid.sample_rate_hz,
        validation=validation,
        data_facts=data_facts(settings.data, corpus, settings.fold),
        fold=settings.fold,
        files={} if corpus.budget is None else {LABELS_FILE: corpus.budget.to_csv()},
    )


def first_model(
    settings: ModelSettings, start: StartSettings | None, crop_s: float, space: LabelSpace
) -> RainforestSedModel:
    """The model before the first step: new layers over an encoder, or a trained model for the data's species.

    Raises:
        CheckpointError: a model or encoder cannot be loaded.
        ConfigError: the settings differ from the trained model's, or its species from the data's.
    """
    if start is None:
        return build_model(with_window(settings, crop_s), space)
    trained = load_model(start.model)
    if differing := differing_keys(settings_dict(settings), settings_dict(trained.settings)):
        raise ConfigError(
            f"start.model={start.model} is built otherwise than this run's model: {', '.join(differing)} differ; "
            "compose the same model=..."
        )
    return warm_start(trained, space, extend=start.extend)


def differing_keys(wanted: Mapping[str, Any], trained: Mapping[str, Any], above: str = "model") -> list[str]:
    """Settings in which two models differ, but for those that a trained model no longer needs."""
    found = []
    for key in sorted(wanted.keys() | trained.keys()):
        one, other = wanted.get(key), trained.get(key)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            found += differing_keys(one, other, f"{above}.{key}")
        elif one != other and key not in SPENT:
            found.append(f"{above}.{key}")
    return found


def with_window(model: ModelSettings, crop_s: float) -> ModelSettings:
    """Model settings whose window is as long as the training crops where they leave it open."""
    return dataclasses.replace(model, window_s=crop_s) if model.window_s is None else model


def build_validation(
    corpus: Corpus, fold: int, model: RainforestSedModel, evaluation: EvaluationSettings
) -> Validation:
    """The labelled recordings of ``fold``, scored through the model's windows as inference does."""
    names = [recording.recording_id for recording in corpus.recordings(fold, "valid")]
    if not names:
        raise ConfigError(f"fold={fold} has no validation recordings")
    trained_on = [recording.recording_id for recording in corpus.recordings(fold, "train")]
    prior = recording_truth(corpus.annotations, trained_on, num_species=corpus.space.num_species).truth.mean(axis=0)
    grid = model.grid

    def predict(module: Any, waveform: FloatArray) -> RecordingScores:  # noqa: ANN401 - RainforestSedModel or its average
        scores = predict_recording(module, torch.from_numpy(np.ascontiguousarray(waveform)), evaluation)
        return RecordingScores(scores.frame.numpy(), scores.clip.numpy())

    return Validation(corpus.judged(names, grid), corpus, predict, prior=prior, space=model.space, grid=grid)


def data_facts(data: DataSettings, corpus: Corpus, fold: int | None) -> Mapping[str, Any]:
    """Hashes of every label table and of the label budget, and which recordings are on which side."""
    sides = {side: [r.recording_id for r in corpus.recordings(fold, side)] for side in ("train", "valid")}
    if corpus.folds.test_ids:
        sides["test"] = sorted(corpus.folds.test_ids)
    budget = {} if corpus.budget is None else {LABELS_FILE: _sha256(corpus.budget.to_csv())}
    return {
        "sha256": hash_files(data.label_files) | budget,
        "recordings": {side: len(names) for side, names in sides.items()},
        "recordings_sha256": {side: hash_names(names) for side, names in sides.items()},
    }


def hash_names(recording_ids: Sequence[str]) -> str:
    """What run.json says of the recordings of a side, in their order."""
    return _sha256("\n".join(recording_ids))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
