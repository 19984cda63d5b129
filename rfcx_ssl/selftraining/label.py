"""Pseudo-labels of many recordings by the runs of a cross-validation, out of fold.

  heard/      a journal per set of teachers (:mod:`rfcx_ssl.detection.journal`): what was heard is never heard again
  labels/     the pseudo-labels: Parquet files for ``data.pseudo.files=[OUT/labels]``
  report.csv, report.md, pseudo_label.json

All but ``heard/`` is made anew from it each time, so that the transforms can be chosen without hearing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

import rfcx_ssl
from rfcx_ssl.config import settings_dict
from rfcx_ssl.data import Corpus, load_corpus
from rfcx_ssl.decoding.prior import refuse_second_prior
from rfcx_ssl.decoding.species_list import wanted_species
from rfcx_ssl.detection.detect import IncompleteError
from rfcx_ssl.detection.sources import find_recordings
from rfcx_ssl.errors import AudioError, ConfigError, some_of
from rfcx_ssl.files import atomic_folder
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.labels.pseudo import FloatArray, write_pseudo_labels
from rfcx_ssl.progress import say
from rfcx_ssl.selftraining.account import Account, SpeciesAccount
from rfcx_ssl.selftraining.assign import Assignment, Names, assign
from rfcx_ssl.selftraining.hear import Group, Work, make_groups
from rfcx_ssl.selftraining.report import write_report
from rfcx_ssl.selftraining.settings import PseudoLabelSettings
from rfcx_ssl.selftraining.soften import soften
from rfcx_ssl.selftraining.teachers import Teachers, open_teachers
from rfcx_ssl.species.prevalence import NONE
from rfcx_ssl.species.table import SpeciesTable

SHARD_RECORDINGS = 1024  # of a file
SHOWN = 3
SoftRow = tuple[str, FloatArray, float]


@dataclass(frozen=True)
class LabelRequest:
    """Who labels what, and where the labels go."""

    runs: Sequence[Path]
    audio: Sequence[str]
    out: Path
    settings: PseudoLabelSettings
    work: Work


class Labelled(NamedTuple):
    """What came of it."""

    account: Account
    species: list[SpeciesAccount]  # of those that are not excluded
    record: dict[str, Any]  # pseudo_label.json
    problems: tuple[str, ...] = ()  # recordings that could not be read to their end


def label_recordings(request: LabelRequest, console: Console) -> Labelled:
    """Write pseudo-labels of all recordings, hearing those that were not heard yet.

    Raises:
        IncompleteError: after all is written, if a recording could not be read to its end (exit code 3).
        RfcxError: the runs do not fit each other or their data, or there is nothing to label.
    """
    labelled = write_labels(request, console)
    if labelled.problems:
        raise IncompleteError("; ".join(labelled.problems))
    return labelled


def write_labels(request: LabelRequest, console: Console) -> Labelled:
    """:func:`label_recordings`, for callers that go on where some recordings cannot be read (``problems``)."""
    teachers = open_teachers(request.runs)
    _refuse_second_prior(teachers, request.settings)
    _output_names(teachers.corpus)  # refuses song types before anything is heard
    assignment = _assign(request, teachers)
    for line in _left_out(assignment):
        say(console, f"warning: {line}")
    if not assignment.teachers_of:
        raise AudioError("no recording may be labelled: every model has learned from each of them")
    groups = make_groups(request.out / "heard", teachers.members, assignment.groups)
    problems = []
    for group in groups:
        who = ", ".join(str(teacher.run) for teacher in group.teachers)
        say(console, f"{len(group.name_of)} recordings by {who}")
        problems += [said for said in [group.hear(request.settings, request.work, console)] if said]
    labelled = _Writing(request, teachers, groups).write(assignment)._replace(problems=tuple(problems))
    write_report(request.out, labelled.account, labelled.species, labelled.record, console)
    return labelled


def _assign(request: LabelRequest, teachers: Teachers) -> Assignment:
    corpus = teachers.corpus
    return assign(
        find_recordings(request.audio),
        Names(teachers.paths),
        teachers.members,
        labelled=frozenset(corpus.annotations.recording_ids),
        test=corpus.folds.test_ids,
        rule=request.settings.teacher,
        seed=request.settings.seed,
    )


def _refuse_second_prior(teachers: Teachers, settings: PseudoLabelSettings) -> None:
    for teacher in teachers.members:
        refuse_second_prior(settings.prevalence, str(teacher.run), teacher.prevalence)


def _output_names(corpus: Corpus) -> tuple[str, ...]:
    """What training calls the output of each species (S,)."""
    space = corpus.space
    if apart := [space.species_names[k] for k, outputs in enumerate(space.outputs_of) if len(outputs) != 1]:
        raise ConfigError(
            f"data.split_songtypes: pseudo-labels tell species, not the song types of {some_of(apart, SHOWN)}"
        )
    return tuple(space.output_names[outputs[0]] for outputs in space.outputs_of)


def _left_out(assignment: Assignment) -> Iterator[str]:
    if assignment.taught:
        yield (
            f"{len(assignment.taught)} recordings are left out, as every model has learned from their labels: "
            f"{some_of(assignment.taught, SHOWN)}"
        )
    if assignment.test:
        yield f"{len(assignment.test)} recordings of the test part are left out: {some_of(assignment.test, SHOWN)}"


class _Writing:
    """Labels from the journals of all groups."""

    def __init__(self, request: LabelRequest, teachers: Teachers, groups: Sequence[Group]) -> None:
        self.request, self.teachers, self.groups = request, teachers, groups
        self.plans = [group.plan for group in groups]
        first = self.plans[0]
        for group, plan in zip(groups, self.plans, strict=True):
            if plan["frame_s"] != first["frame_s"]:
                raise ConfigError(
                    f"frames of {plan['frame_s']:g} s by {group.teachers[0].run}, of {first['frame_s']:g} s by "
                    f"{groups[0].teachers[0].run}: label with models of one kind at a time"
                )
        self.frame_s: float = first["frame_s"]
        rate_hz: int = first["sample_rate_hz"]
        self.grid = FrameGrid(rate_hz, round(self.frame_s * rate_hz))
        # as somebody labelled it; pseudo-labels of an earlier round are nobody's word
        self.judge = load_corpus(replace(teachers.data, sample_rate_hz=rate_hz, cache=False, pseudo=None))
        species = self.judge.space.species
        kept = np.flatnonzero(wanted_species(species, exclude=request.settings.exclude)).tolist()
        self.place_of = {number: place for place, number in enumerate(kept)}  # of the species that are labelled
        self.species = tuple(species.names[number] for number in kept)
        outputs = _output_names(teachers.corpus)
        self.names = tuple(outputs[number] for number in kept)
        self.account = Account(self.species, self.frame_s, request.settings)
        self.unheard = self.empty = 0

    def write(self, assignment: Assignment) -> Labelled:
        """Replace the folder of labels; returns what is in it."""
        prevalence = self.teachers.prevalence
        if self.request.settings.prevalence != NONE:
            prevalence = self.request.settings.prevalence
        with atomic_folder(self.request.out / "labels") as folder:
            for number, rows in enumerate(_shards(self._rows())):
                write_pseudo_labels(
                    folder / f"{number:05d}.parquet",
                    rows,
                    output_names=self.names,
                    frame_s=self.frame_s,
                    prevalence=prevalence,
                )
            if not self.account.recordings:
                raise AudioError(f"none of {len(assignment.teachers_of)} recordings could be labelled")
        return Labelled(self.account, self.account.rows(), self._record(assignment, prevalence))

    def _rows(self) -> Iterator[SoftRow]:
        labelled = frozenset(self.judge.annotations.recording_ids)
        for group, plan in zip(self.groups, self.plans, strict=True):
            columns = self._columns(SpeciesTable.from_rows(plan["species"]).names)
            for name, result in group.results():
                frames = result.arrays.get("frames")
                if frames is None:
                    self.unheard += 1
                    continue
                soft = soften(frames[:, columns], self.request.settings)
                if soft is None:
                    self.empty += 1
                    continue
                self.account.add(soft, self._boxes(name) if name in labelled else ())
                yield name, soft.scores, soft.weight

    def _boxes(self, name: str) -> Iterator[JudgedBox]:
        """Judged boxes of a recording, of the species that are labelled and in their order."""
        for box in self.judge.judged([name], self.grid).boxes[0]:
            if box.species_id in self.place_of:
                yield box._replace(species_id=self.place_of[box.species_id])

    def _columns(self, heard: Sequence[str]) -> list[int]:
        """Columns of what was heard in the order of the labels."""
        wanted = self.species
        if missing := [name for name in wanted if name not in heard]:
            raise ConfigError(f"the models do not know {some_of(missing, SHOWN)}, which the data set names")
        return [heard.index(name) for name in wanted]

    def _record(self, assignment: Assignment, prevalence: str | None) -> dict[str, Any]:
        return {
            "rfcx_ssl": rfcx_ssl.__version__,
            "teachers": [str(teacher.run) for teacher in self.teachers.members],
            "audio": list(self.request.audio),
            "settings": settings_dict(self.request.settings),
            "frame_s": self.frame_s,
            "prevalence": prevalence,
            "species": len(self.species),
            "groups": [
                {
                    "heard": group.folder.name,
                    "teachers": [str(teacher.run) for teacher in group.teachers],
                    "recordings": len(group.name_of),
                    "calibrated": plan["decisions"]["calibrated"],
                    "prior_log_odds": plan["prior"],
                }
                for group, plan in zip(self.groups, self.plans, strict=True)
            ],
            "recordings": self.account.recordings,
            "hours": self.account.hours,
            "unheard": self.unheard,
            "nothing_left_of": self.empty,
            "left_out": {"every_model_learned_from": len(assignment.taught), "test_part": len(assignment.test)},
        }


def _shards(rows: Iterator[SoftRow]) -> Iterator[Iterator[SoftRow]]:
    """Rows in lots of ``SHARD_RECORDINGS``, none of them in memory; each lot is to be used up before the next."""
    for first in rows:
        yield chain([first], islice(rows, SHARD_RECORDINGS - 1))
