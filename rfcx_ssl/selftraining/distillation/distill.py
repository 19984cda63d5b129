"""A distillation from settings: an ordinary training run whose batches are unlabelled and whose targets teachers give.

Teachers are asked while the student learns, crop by crop: they hear the very crop that it hears, whatever the epoch, nothing is stored,
and a resumed run has nothing to find again. Where the same frames shall teach many students, ``pseudo_label.py`` writes them down.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rfcx_ssl.augment import build_augment
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.losses.distill import DistillLoss
from rfcx_ssl.models.outputs import merge_outputs
from rfcx_ssl.provenance import hash_files
from rfcx_ssl.selftraining.distillation.agreement import Agreement
from rfcx_ssl.selftraining.distillation.lessons import Lessons
from rfcx_ssl.selftraining.distillation.recordings import (
    Ears,
    Unlabelled,
    UnlabelledCrops,
    collate_heard,
    divide,
    find_unlabelled,
    hash_recordings,
)
from rfcx_ssl.selftraining.distillation.settings import DistillSettings
from rfcx_ssl.selftraining.distillation.teachers import Teachers, open_teachers
from rfcx_ssl.selftraining.teachers import DISTILLATION
from rfcx_ssl.species.space import label_space
from rfcx_ssl.threads import use_threads
from rfcx_ssl.training.judge import Processes
from rfcx_ssl.training.learner import Parts, make_accelerator, seed_everything
from rfcx_ssl.training.rules import check_mixing
from rfcx_ssl.training.train import first_model
from rfcx_ssl.training.trainer import fit


def distill(settings: DistillSettings) -> Path:
    """Distill as ``settings`` say; returns the run folder, whose ``model/`` is the student.

    Called by every process of an ``accelerate launch`` alike, and resumes what it finds.

    Raises:
        RfcxError: wrong settings, teachers, recordings or run folder; a signal asked to stop.
    """
    use_threads(settings.threads, run_file=Path(settings.output_dir) / "run.json")
    accelerator = make_accelerator(settings)
    return fit(settings, build_parts(settings, accelerator), accelerator)


def build_parts(settings: DistillSettings, accelerator: Processes) -> Parts:
    """Student, teachers, recordings and loss of a run."""
    check_mixing(settings, settings.augment, accelerator.num_processes)
    opened = open_teachers(settings.teacher, settings.data.species_file, device=str(accelerator.device))
    seed_everything(settings.seed, step=0, rank=0)  # every process builds the same weights
    model = first_model(settings.model, settings.start, settings.data.crop_s, opened.space)
    model.config.windows = windows_in_force(
        model, settings.evaluation
    )._asdict()  # how the student is heard afterwards
    priors = (
        scorer.scaled_prevalence for scorer in opened.scorers
    )  # what is in a teacher's answers is in the student's
    model.config.scaled_prevalence = next(filter(None, priors), model.config.scaled_prevalence)
    teachers = Teachers(opened.scorers, settings.teacher, model.space.species, model.grid)
    _require_lessons(settings, teachers)
    accelerator.print(teachers.summary())
    rate = model.grid.sample_rate_hz
    ears = Ears(settings.data.crop_s, (rate, *(other for other in teachers.rates_hz if other != rate)))
    train, valid = divide(find_unlabelled(settings.data, rate), settings.data)
    merge = partial(merge_outputs, space=model.space)
    by_species = label_space(model.space.species)  # what teachers say, and so what augmentation changes
    augment = build_augment(settings.augment, model.grid, by_species, coverage=0.5, edge_tolerance_s=0.0).train()
    return Parts(
        model=model,
        loss=DistillLoss(settings.loss, merge, model.embedding_dim, teachers.embedding_dims).to(accelerator.device),
        augment=Lessons(teachers, augment.to(accelerator.device), ears),
        train_set=UnlabelledCrops(train, ears, seed=settings.seed, length=settings.data.crops_per_epoch),
        collate=collate_heard,
        sample_rate_hz=rate,
        validation=Agreement(valid, teachers, ears) if valid else None,
        data_facts=data_facts(opened.files, {"train": train, "valid": valid}),
        kind=DISTILLATION,
    )


def data_facts(teacher_files: Sequence[Path], sides: Mapping[str, Sequence[Unlabelled]]) -> Mapping[str, Any]:
    """Hashes of every file of the teachers, and of the names and lengths of the recordings on either side."""
    return {
        "sha256": hash_files(teacher_files),
        "unlabelled_recordings": {side: len(items) for side, items in sides.items()},
        "unlabelled_sha256": {side: hash_recordings(items) for side, items in sides.items()},
    }


def _require_lessons(settings: DistillSettings, teachers: Teachers) -> None:
    """Something must be taught.

    Raises:
        ConfigError: the teachers know none of the species and no embedding is asked for, or one that they do not have.
    """
    if settings.loss.embedding is not None and not any(teachers.embedding_dims):
        raise ConfigError("loss.embedding: none of the teachers has an embedding")
    if settings.loss.embedding is None and not teachers.known.any():
        raise ConfigError(
            f"the teachers know none of the student's {len(teachers.species)} species: name their classes under species in "
            "the YAML of the classifier, or learn its embedding (loss.embedding.weight=1)"
        )
