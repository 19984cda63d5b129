"""Rounds of self-training: label, train all folds, compare; until the out-of-fold score no longer rises.

  self_train.json              settings, what is done, the best round
  round_0/                     the teachers: seed_S/fold_F (run folders), or nothing but their scores where they are given
  round_R/labels/              what the models of the round before say (:mod:`rfcx_ssl.selftraining.label`)
  round_R/seed_S/fold_F/       the students, ordinary run folders
  control/seed_S/fold_F/       the last round without pseudo-labels, as long as all rounds together
  rounds.csv, rounds.md, rounds.png

Every stage is one that resumes by itself, and is left alone once it is done: the same command goes on from any moment.
"""

import gc
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from rfcx_ssl.config import settings_dict
from rfcx_ssl.data import DataSettings
from rfcx_ssl.detection.detect import IncompleteError
from rfcx_ssl.detection.work import open_models
from rfcx_ssl.errors import ConfigError, RunError, some_of
from rfcx_ssl.program import Answer
from rfcx_ssl.selftraining.arms import CONTROL, Arm, Arms
from rfcx_ssl.selftraining.hear import Work
from rfcx_ssl.selftraining.held_out import heard_test, out_of_fold, test_reference
from rfcx_ssl.selftraining.label import LabelRequest, write_labels
from rfcx_ssl.selftraining.rounds_report import Row, write_rounds
from rfcx_ssl.selftraining.rounds_settings import SelfTrainSettings
from rfcx_ssl.selftraining.rounds_state import RoundsState
from rfcx_ssl.selftraining.verdicts import best_round, choose_metric, judge
from rfcx_ssl.training.crossval import pool
from rfcx_ssl.training.launch import Launcher
from rfcx_ssl.training.run_folder import RunFolder

LOCK_TIMEOUT_S = 5.0
SHOWN = 5


@dataclass(frozen=True)
class RoundsRequest:
    """What to do, where, and with what."""

    settings: SelfTrainSettings
    out: Path
    launcher: Launcher  # of finetune/train.py
    work: Work  # how recordings are heard


def self_train(request: RoundsRequest, console: Console) -> Answer:
    """Do what is left of the rounds, and write their table and picture after each; returns which round is best, and by what.

    Raises:
        IncompleteError: after all is done, if a recording could not be read to its end (exit code 3).
        RfcxError: the settings or the data are wrong, a training failed, or the folder was made with other settings.
    """
    arms = Arms(request.settings, request.out)
    folder = RunFolder(request.out)
    folder.create()
    with folder.lock(LOCK_TIMEOUT_S):
        return _Rounds(request, arms, console).run()


class _Rounds:
    """One start of the program."""

    def __init__(self, request: RoundsRequest, arms: Arms, console: Console) -> None:
        self.request, self.arms, self.console = request, arms, console
        self.settings, self.out = request.settings, request.out
        self.state = RoundsState(self.out)
        self.state.require(settings_dict(self.settings))
        for arm in (arms.teachers, *arms.students):
            if arm.config is not None:
                self.state.require_arm(arm.name, arm.config)
        students = arms.students[0].settings
        assert students is not None  # students are trained
        self.data: DataSettings = students.data
        self.reference = test_reference(self.data) if self.settings.test else None
        self.rows: list[Row] = []
        self.metric: str | None = None
        self.problems: list[str] = []

    def run(self) -> Answer:
        """All that is left."""
        self._finish(self.arms.teachers)
        before, ended = self.arms.teachers, ""
        for number, arm in enumerate(self.arms.students, start=1):
            self._label(number, before)
            self._finish(arm)
            before = arm
            if ended := self._end(arm):
                break
        if self.settings.control:
            control = self.arms.control(number)
            assert control.config is not None  # it is trained
            self.state.require_arm(CONTROL, control.config)
            self._finish(control)
        return self._tell(ended)

    # ---- the stages

    def _finish(self, arm: Arm) -> None:
        """Train what is not trained, judge, and write the tables of all arms so far."""
        if arm.launches:
            self._say(f"{arm.name}: {len(arm.launches)} trainings")
            if failed := self.request.launcher.run_all(arm.launches):
                names = some_of([str(launch.output_dir) for launch in failed], SHOWN)
                raise RunError(f"failed: {names}; the same command tries again")
            pool(arm.launches, arm.folder, resamples=self.settings.resamples)
        self._judge(arm)
        write_rounds(self.rows, self.out, self.metric, self.console)

    def _judge(self, arm: Arm) -> None:
        resamples, test = self.settings.resamples, None
        tables = out_of_fold(arm.runs)
        oof = None if tables is None else judge(tables, resamples)
        if self.reference is not None:
            self._say(f"{arm.name}: judged on {len(self.reference.paths)} recordings, {self.reference.what}")
            heard = heard_test(arm.folder, arm.runs, self.reference, self.request.work.device, self.console)
            test = judge(heard, resamples)
        if self.metric is None and oof is not None:
            self.metric = choose_metric(oof, self.settings.metric)
        self.rows.append(Row(arm, oof, test, self.state.arm(arm.name)))

    def _label(self, number: int, before: Arm) -> None:
        """Label with the models of the round before, unless that is done."""
        name = self.arms.students[number - 1].name
        known = self.state.arm(name)
        if not known.get("labelled"):
            self._say(f"{name}: labels by {len(before.runs)} models of {before.name}")
            wanted = self.arms.label_settings[number - 1]
            request = LabelRequest(before.runs, self.arms.audio, self.arms.labels(number), wanted, self.request.work)
            labelled = write_labels(request, self.console)
            flagged = {row.species: row.warning for row in labelled.species if row.misleads}
            if flagged and self.settings.drop_flagged:
                if len(flagged) == len(labelled.species):
                    raise ConfigError(
                        f"{name}: every species is flagged ({some_of(list(flagged.values()), 1)}): nothing is left to learn; "
                        "look at report.md of its labels, or set drop_flagged=false"
                    )
                self._say(f"{name}: without {len(flagged)} species that are flagged: {some_of(list(flagged), SHOWN)}")
                labelled = write_labels(
                    replace(request, settings=replace(wanted, exclude=(*wanted.exclude, *flagged))), self.console
                )
            _free_memory()
            self.state.record(
                name,
                labelled=True,
                recordings=labelled.account.recordings,
                hours=labelled.account.hours,
                prevalence=labelled.record["prevalence"],
                flagged=flagged,
                dropped=self.settings.drop_flagged,
                problems=list(labelled.problems),
            )
        self.problems += self.state.arm(name)["problems"]

    def _end(self, arm: Arm) -> str:
        """Why no round comes after this one; empty where one does."""
        scores = self._scores()
        best = best_round({name: score for name, score in scores.items() if name != arm.name})
        gain = scores[arm.name] - scores[best]
        self.state.record(arm.name, score=scores[arm.name])
        if not gain <= self.settings.min_gain:  # NaN, where nothing can be compared, ends nothing
            return ""
        return (
            f"{arm.name}: {self.metric} {scores[arm.name]:.4f} is not more than min_gain={self.settings.min_gain:g} above the "
            f"{scores[best]:.4f} of {best}"
        )

    def _scores(self) -> dict[str, float]:
        metric = self.metric
        return {
            row.arm.name: math.nan if row.oof is None or metric is None else row.oof.value(metric).value
            for row in self.rows
        }

    def _tell(self, ended: str) -> Answer:
        scores = self._scores()
        best = best_round(scores)
        folder = next(row.arm.folder for row in self.rows if row.arm.name == best)
        verdict = {"metric": self.metric, "best": best, "ended": ended or "all rounds are done"}
        self.state.finish(finished=True, **verdict)
        if ended:
            self._say(f"stopped: {ended}")
        self._say(f"best: {best} by out-of-fold {self.metric}: {folder}")
        answer = {"out": self.out, **verdict, "folder": folder, "scores": scores}
        if self.problems:
            raise IncompleteError("; ".join(dict.fromkeys(self.problems)), answer)
        return answer

    def _say(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def _free_memory() -> None:
    """Trainings that come now are processes of their own, and need the memory of the models that were heard with."""
    open_models.cache_clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
