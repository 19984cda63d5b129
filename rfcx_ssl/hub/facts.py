"""What is known about a model that is to be published: its run, its scores, the encoder it started from. Nothing is guessed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rfcx_ssl.errors import HubError
from rfcx_ssl.evaluation.record import JudgedModel, find_judged
from rfcx_ssl.evaluation.runs import read_json
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.pretraining.export import PARITY_FILE, RECORD_FILE
from rfcx_ssl.training.checkpoint import step_name
from rfcx_ssl.training.run_folder import RunFolder


@dataclass(frozen=True)
class EncoderFacts:
    """A pretrained encoder: where it is, the proof of its conversion, the record of its pretraining; empty where unknown."""

    source: str  # a folder or a hub id
    parity: Mapping[str, Any] = field(default_factory=dict)
    pretraining: Mapping[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> Mapping[str, Any]:
        """``state`` and ``message`` on the health of the pretraining; empty where they were not recorded."""
        return self.pretraining.get("verdict") or {}


@dataclass(frozen=True)
class ModelFacts:
    """A trained model and what its run tells."""

    folder: Path  # of the model
    run: Mapping[str, Any]  # run.json; empty where only the model is known
    config: Mapping[str, Any]  # config.yaml of the run
    metrics: Mapping[str, float | None]
    scored: str  # which weights the metrics are of
    encoder: EncoderFacts | None  # None: random weights, or not a pretrained encoder at all
    run_folder: Path | None = None
    judged: Sequence[JudgedModel] = ()  # evaluations of the model that lie in the run folder

    @property
    def train_s(self) -> float | None:
        """Seconds of optimizer steps, as far as they were counted."""
        known = {**self.run, **(read_json(self.run_folder / "progress.json") if self.run_folder else {})}
        return known.get("train_s")

    @property
    def data_root(self) -> Path | None:
        """The folder of the data set."""
        root = self.config.get("data", {}).get("root")
        return None if root is None else Path(root)

    @property
    def roots(self) -> list[Path]:
        """Folders that a published path may be relative to."""
        return [] if self.data_root is None else [self.data_root]


def find_model_facts(source: str) -> ModelFacts:
    """Facts of a run folder, of ``RUN/model``, or of any other model; a model on the hub has no run.

    Raises:
        HubError: the folder is no fine-tuning run, or has no model yet.
        CheckpointError: there is no such model.
    """
    path = Path(source)
    is_run = (path / "run.json").is_file() and not (path / "config.json").is_file()
    run_folder = path if is_run else path.parent if path.name == "model" else None
    run = read_json(run_folder / "run.json") if run_folder else {}
    if run_folder is None or not run:
        return ModelFacts(model_folder(source), {}, {}, {}, "", None)
    if run["kind"] != "fine-tuning":
        raise HubError(f"{source}: is a {run['kind']} run; pretrain/convert.py makes an encoder for pretrain/push.py")
    config = yaml.safe_load((run_folder / "config.yaml").read_text(encoding="utf-8"))
    folder, metrics, scored = _weights_and_scores(RunFolder(run_folder), run)
    judged = tuple(find_judged(run_folder, folder))
    return ModelFacts(folder, run, config, metrics, scored, _encoder_of(config), run_folder, judged)


def find_encoder_facts(folder: Path) -> EncoderFacts:
    """Facts of an encoder directory.

    Raises:
        HubError: it is none.
    """
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise HubError(
            f"{folder}: no encoder directory (config.json, model.safetensors); pretrain/convert.py makes one"
        )
    return EncoderFacts(str(folder), read_json(folder / PARITY_FILE), read_json(folder / RECORD_FILE))


def objections(facts: ModelFacts | EncoderFacts) -> list[str]:
    """Why a model should not be published yet, each in a clause."""
    record = facts.run if isinstance(facts, ModelFacts) else facts.pretraining
    found = []
    if record and not record.get("finished"):
        found.append("the run is not finished")
    dirty = [
        commit for session in record.get("sessions", ()) if (commit := session.get("git") or "").endswith("-dirty")
    ]
    if dirty:
        found.append(f"the code had changes that are in no commit ({dirty[-1]})")
    if isinstance(facts, EncoderFacts):
        if facts.verdict.get("state") == "failed":
            found.append(f"the pretraining failed: {facts.verdict['message']}")
        if facts.parity and not facts.parity.get("passed"):
            found.append("the proof of its conversion failed")
    return found


def _weights_and_scores(folder: RunFolder, run: Mapping[str, Any]) -> tuple[Path, Mapping[str, float | None], str]:
    """The final model with its scores; of a run that is not finished the best evaluation so far."""
    if folder.is_finished:
        chosen = f"the final model ({run['selected']})" if run.get("selected") else "the final model"
        return folder.model, run.get("metrics") or {}, chosen
    best: dict[str, Any] = read_json(folder.path / "progress.json").get("best") or {}
    model = folder.best / step_name(best.get("step", 0))
    if not (model / "config.json").is_file():
        raise HubError(f"{folder.path}: is not finished and has no evaluated model yet")
    lines = folder.metrics.read_text(encoding="utf-8").splitlines()
    evaluated = [line for line in map(json.loads, lines) if line["kind"] == "eval" and line["step"] == best["step"]]
    metrics = {key: value for key, value in evaluated[-1].items() if key not in ("step", "kind")} if evaluated else {}
    return model, metrics, f"the weights of step {best['step']}, of a run that is not finished"


def _encoder_of(config: Mapping[str, Any]) -> EncoderFacts | None:
    """The encoder that a run started from; its records, where it still lies on this machine."""
    model = config.get("model", {})
    if "encoder" not in model or model.get("encoder_weights") == "random":
        return None
    folder = Path(model["encoder"])
    return EncoderFacts(model["encoder"], read_json(folder / PARITY_FILE), read_json(folder / RECORD_FILE))
