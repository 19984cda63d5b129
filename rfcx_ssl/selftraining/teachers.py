"""Runs as teachers: each with the recordings whose labels it has learned from, which it must not label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rfcx_ssl.config import check_settings
from rfcx_ssl.data import Corpus, DataSettings, load_corpus
from rfcx_ssl.data.sources import read_sources
from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.evaluation.runs import read_json, read_run
from rfcx_ssl.inference.classifier_file import description_of
from rfcx_ssl.training.prevalence import scaled_prevalence
from rfcx_ssl.training.train import hash_names

DISTILLATION = "distillation"  # what run.json calls the run of a distilled student


@dataclass(frozen=True)
class Teacher:
    """One trained model."""

    run: Path
    model: Path
    seen: frozenset[str]  # recordings with labels of people that it learned from, what it started from included
    prevalence: str | None  # what the pseudo-labels that it learned from were scaled to, if they were


@dataclass(frozen=True)
class Teachers:
    """The models of one data set, and its labels (those outside a label budget, too)."""

    members: tuple[Teacher, ...]
    data: DataSettings  # of the first run
    corpus: Corpus
    paths: Mapping[str, Path]  # audio files of the data set, by recording, labelled or not

    @property
    def prevalence(self) -> str | None:
        """What the probabilities of any of them are scaled to before anybody scales them here."""
        return next((teacher.prevalence for teacher in self.members if teacher.prevalence), None)


def open_teachers(runs: Sequence[Path]) -> Teachers:
    """Read what every run learned from, and find that its data are still what they were.

    Raises:
        RunError: not a finished run, or its training recordings today are others than those that it recorded.
        ConfigError: a run is named twice, or the runs are of different data sets.
    """
    record_of = _Records()
    members = []
    for run in runs:
        facts = read_run(run)
        if facts.folder is None or not read_json(run / "run.json").get("finished"):
            raise RunError(f"{run}: not the folder of a finished run, which alone tells what its model learned from")
        members.append(Teacher(run, facts.model.resolve(), *record_of.learned(run)))
    if len({teacher.model for teacher in members}) < len(members):
        raise ConfigError("a run is named twice")
    data = [record_of.data(run) for run in runs]
    for run, one in zip(runs, data, strict=True):
        if one.root.resolve() != data[0].root.resolve():
            raise ConfigError(f"{run}: learned from data.root={one.root}, {runs[0]} from {data[0].root}")
    paths = read_sources(replace(data[0], pseudo=None)).paths
    return Teachers(tuple(members), data[0], record_of.corpus(data[0]), paths)


class _Records:
    """What run folders say they learned from; the corpora of runs with the same data settings are read once."""

    def __init__(self) -> None:
        self._corpora: dict[DataSettings, Corpus] = {}

    def corpus(self, data: DataSettings) -> Corpus:
        """The labelled data as training reads them, without their copy for training."""
        if data not in self._corpora:
            self._corpora[data] = load_corpus(replace(data, cache=False))
        return self._corpora[data]

    def data(self, run: Path) -> DataSettings:
        """The data settings of a run."""
        return check_settings(DataSettings, _config(run)["data"], str(run / "run.json"))

    def learned(self, run: Path) -> tuple[frozenset[str], str | None]:
        """Recordings whose labels a run learned from, and what its pseudo-labels were scaled to."""
        if read_json(run / "run.json").get("kind") == DISTILLATION:
            return self._learned_from_teachers(run)
        config, data = _config(run), self.data(run)
        fold = config["fold"]
        corpus = self.corpus(data).within_budget(fold)
        _require_same_sides(run, corpus, fold)
        seen = frozenset(corpus.folds.train_ids(fold))
        prevalence = scaled_prevalence(data)
        if config.get("start") is None:
            return seen, prevalence
        before, prevalence_before = self.learned(_run_of(run, config["start"]["model"]))
        return seen | before, prevalence or prevalence_before

    def _learned_from_teachers(self, run: Path) -> tuple[frozenset[str], str | None]:
        """A distilled student has seen what its teachers have; of other people's classifiers nobody can tell, and nothing counts."""
        config = read_json(run / "run.json")["config"]
        models = [model for model in config["teacher"]["models"] if description_of(model) is None]
        models += [config["start"]["model"]] if config["start"] else []
        learned = [self.learned(_run_of(run, model)) for model in models]
        seen: frozenset[str] = frozenset().union(*(names for names, _ in learned))
        return seen, next((prevalence for _, prevalence in learned if prevalence), None)


def _config(run: Path) -> Mapping[str, Any]:
    config: Mapping[str, Any] = read_json(run / "run.json").get("config", {})
    if lacking := [key for key in ("data", "fold") if key not in config]:
        raise RunError(f"{run / 'run.json'}: has no config.{lacking[0]}; is it the folder of a fine-tuning run?")
    return config


def _require_same_sides(run: Path, corpus: Corpus, fold: int | None) -> None:
    """Folds, tables and audio files must still give the sides that the run recorded: else nobody knows what it saw."""
    recorded = read_json(run / "run.json").get("data", {}).get("recordings_sha256", {})
    for side in ("train", "valid"):
        names = [recording.recording_id for recording in corpus.recordings(fold, side)]
        if recorded.get(side) != hash_names(names):
            raise RunError(
                f"{run}: its {side} recordings are not those that data.root={corpus.settings.root} gives today with fold={fold} "
                "(labels, folds or audio files have changed): what it learned from cannot be told"
            )


def _run_of(run: Path, model: str) -> Path:
    """The run that made the model that ``run`` started or learned from."""
    place = Path(model)
    for folder in (place, *place.parents[:2]):  # RUN, RUN/model, RUN/best/STEP
        if (folder / "run.json").is_file():
            return folder
    raise RunError(f"{run}: learned from the model {model}, and no run folder tells what that learned from")
