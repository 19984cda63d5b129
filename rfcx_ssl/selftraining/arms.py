"""What is trained: the teachers, the students of each round, and the control without pseudo-labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rfcx_ssl.config import load_settings, settings_dict
from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.evaluation.runs import read_json
from rfcx_ssl.selftraining.rounds_settings import RoundSettings, SelfTrainSettings, Words
from rfcx_ssl.selftraining.settings import PseudoLabelSettings
from rfcx_ssl.species.prevalence import NONE
from rfcx_ssl.training.crossval import plan
from rfcx_ssl.training.launch import Launch
from rfcx_ssl.training.settings import OPERATIONAL_KEYS
from rfcx_ssl.training.train import TrainSettings

TEACHERS, CONTROL = "round_0", "control"
#: Settings of the data that all rounds must share: they decide what is held out where.
SIDES = ("root", "layout", "num_folds", "seed", "group_by", "folds_file", "test_share", "test_file", "max_recordings")


@dataclass(frozen=True)
class Arm:
    """Models that were trained alike, one for each seed and fold."""

    name: str
    folder: Path
    runs: tuple[Path, ...]
    launches: tuple[Launch, ...] = ()  # none where the models are given
    settings: TrainSettings | None = None  # the same; fold, seed and start are those of the launches

    @property
    def config(self) -> Mapping[str, Any] | None:
        """Its settings, without those that touch no weight."""
        if self.settings is None:
            return None
        return {key: value for key, value in settings_dict(self.settings).items() if key not in OPERATIONAL_KEYS}


class Arms:
    """All arms of the settings; every mistake in their words shows here, before anything is trained."""

    def __init__(self, settings: SelfTrainSettings, out: Path) -> None:
        self.settings, self.out = settings, out
        self.teachers = self._given() if settings.teachers else self._trained(TEACHERS, settings.teacher)
        before, students = self.teachers, []
        for number, own in enumerate(settings.rounds, start=1):
            before = self._students(number, own, before)
            students.append(before)
        self.students = tuple(students)
        self.label_settings = tuple(self._label_settings(own) for own in settings.rounds)
        self._require_one_prior()
        for arm in self._all():
            self._require_same_sides(arm)
        if settings.control:
            self.control(len(students))  # whether it can be made

    @property
    def audio(self) -> tuple[str, ...]:
        """What is labelled: by default the audio folders of the data set."""
        if self.settings.audio is not None:
            return self.settings.audio
        students = self.students[0].settings
        assert students is not None  # students are trained
        return tuple(str(students.data.root / folder) for folder in students.data.audio_folders)

    def labels(self, number: int) -> Path:
        """Folder of the labels that the students of a round learn from."""
        return self.out / f"round_{number}" / "labels"

    def control(self, rounds: int) -> Arm:
        """The last of so many rounds without pseudo-labels, as long as all of them together.

        Raises:
            ConfigError: how long that is cannot be told.
        """
        own, steps = self.settings.rounds[rounds - 1], self.settings.control_steps
        if steps is None:
            steps = sum(self._steps(arm) for arm in (self.teachers, *self.students[:rounds]))
        return self._trained(CONTROL, (*self.settings.student, *own.student, f"max_steps={steps}"))

    def _all(self) -> Iterator[Arm]:
        yield self.teachers
        yield from self.students

    def _trained(self, name: str, words: Words) -> Arm:
        settings, folder = self.settings, self.out / name
        every = (*settings.train, *words)
        composed = load_settings(TrainSettings, "finetune", "train", [*every, "output_dir=RUN"])
        folds = range(composed.data.num_folds) if settings.folds is None else settings.folds
        launches = tuple(plan(folder, every, folds, settings.seeds))
        return Arm(name, folder, tuple(launch.output_dir for launch in launches), launches, composed)

    def _students(self, number: int, own: RoundSettings, before: Arm) -> Arm:
        files = str(self.labels(number) / "labels").replace("'", r"\'")
        words = (*self.settings.student, *own.student, *self.settings.pseudo, *own.pseudo)
        arm = self._trained(f"round_{number}", (*words, f"data.pseudo.files=['{files}']"))
        if own.start == "new":
            return arm
        return replace(arm, launches=tuple(_started(launch, before) for launch in arm.launches))

    def _given(self) -> Arm:
        runs = tuple(run for folder in self.settings.teachers for run in _runs_of(folder))
        return Arm(TEACHERS, self.out / TEACHERS, runs)

    def _label_settings(self, own: RoundSettings) -> PseudoLabelSettings:
        return load_settings(PseudoLabelSettings, "inference", "pseudo_label", [*self.settings.label, *own.label])

    def _steps(self, arm: Arm) -> int:
        """Optimizer steps of one model of an arm; of given ones the most."""
        if arm.settings is None:
            return max(int(read_json(run / "run.json").get("steps", 0)) for run in arm.runs)
        if arm.settings.max_steps is None:
            raise ConfigError(
                f"{arm.name}: epochs={arm.settings.epochs}: the control needs max_steps, or control_steps, or control=false"
            )
        return arm.settings.max_steps

    def _require_one_prior(self) -> None:
        scaled = [number for number, own in enumerate(self.label_settings, start=1) if own.prevalence != NONE]
        if len(scaled) > 1:
            raise ConfigError(
                f"rounds {scaled[0]} and {scaled[1]} both set prevalence: students of scaled labels have the prior in their "
                "probabilities already; scale in one round only"
            )

    def _require_same_sides(self, arm: Arm) -> None:
        first, own = self.students[0].settings, arm.settings
        assert first is not None  # students are trained
        if own is None:
            return
        for key in SIDES:
            one, other = getattr(first.data, key), getattr(own.data, key)
            if one != other:
                raise ConfigError(
                    f"data.{key} is {other} in {arm.name} and {one} in {self.students[0].name}: rounds must hold out the same"
                )


def _started(launch: Launch, before: Arm) -> Launch:
    """The launch, started from the model of the arm before that has the same fold and seed."""
    place = launch.output_dir.parts[-2:]  # seed_S, fold_F
    found = [run for run in before.runs if run.parts[-2:] == place]
    if len(found) != 1:
        raise ConfigError(f"start=previous: {len(found)} runs of {before.name} are called {'/'.join(place)}")
    model = str(found[0] / "model").replace("'", r"\'")
    return Launch(launch.output_dir, (*launch.overrides, f"start.model='{model}'"))


def _runs_of(folder: Path) -> Sequence[Path]:
    """A run folder, or those of a cross-validation."""
    if (folder / "run.json").is_file():
        return [folder]
    if found := sorted(file.parent for file in folder.glob("seed_*/fold_*/run.json")):
        return found
    raise RunError(f"teachers={folder}: neither a run folder nor one with seed_*/fold_*")
