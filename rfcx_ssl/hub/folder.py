"""The folder of a model as it is published, written whole or not at all: the same for export, a dry run and a push.

It depends on the model, its run and the options alone: the same command writes the same bytes, so that an interrupted push
finds what it has sent.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rfcx_ssl.annotations.layout import SPECIES_TABLE
from rfcx_ssl.decoding.decisions_file import DECISIONS_FILE, find_decisions, read_decisions
from rfcx_ssl.errors import HubError
from rfcx_ssl.files import write_text
from rfcx_ssl.hub.card import Choices
from rfcx_ssl.hub.encoder_card import encoder_card
from rfcx_ssl.hub.facts import EncoderFacts, ModelFacts
from rfcx_ssl.hub.model_card import model_card
from rfcx_ssl.hub.private import check_folder, portable
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.onnx_check import check_onnx
from rfcx_ssl.inference.open import ONNX_NAME
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.models.export_code import PREFIX, save_with_code
from rfcx_ssl.models.export_onnx import export_onnx
from rfcx_ssl.pretraining.export import PARITY_FILE, RECORD_FILE
from rfcx_ssl.species.read import write_species

CARD = "README.md"
TRAINING = "training"  # folder of config.yaml, run.json and metrics.jsonl
_OF_THE_MACHINE = ("host", "slurm_job")  # keys of records that are nobody's business
_OF_THE_ENCODER = ("config.json", "preprocessor_config.json", PARITY_FILE, RECORD_FILE)


def write_model_folder(facts: ModelFacts, out: Path, choices: Choices, *, onnx: bool = False) -> None:
    """Fill the empty folder ``out``: weights, config, preprocessor, code, species, decisions, training, card; ONNX where asked.

    Raises:
        CheckpointError: the model cannot be loaded or exported.
        HubError: something in it must not leave this machine, or the card breaks a rule.
    """
    model = load_model(str(facts.folder))
    save_with_code(model, out)
    _rewrite_json(out / "config.json", json.loads((out / "config.json").read_text(encoding="utf-8")), facts)
    write_species(model.space.species, out / SPECIES_TABLE)
    found = find_decisions(str(facts.folder))
    decisions = None if found is None else read_decisions(found)
    if found is not None:
        _rewrite_json(out / DECISIONS_FILE, json.loads(found.read_text(encoding="utf-8")), facts)
    if facts.run:
        _write_training(facts, out / TRAINING)
    if onnx:
        write_onnx(TorchScorer(model, str(facts.folder)), out)
    write_text(out / CARD, model_card(model, facts, decisions, choices, onnx=onnx))
    check_folder(out, choices.name)


def write_onnx(scorer: TorchScorer, out: Path) -> None:
    """``model.onnx`` into ``out``, compared with the model before it counts."""
    num_samples, _ = scorer.windows.on_grid(scorer.grid)
    export_onnx(scorer.model, out / ONNX_NAME, num_samples)
    check_onnx(out / ONNX_NAME, scorer)


def write_encoder_folder(folder: Path, facts: EncoderFacts, out: Path, choices: Choices) -> None:
    """Fill the empty folder ``out`` with an encoder directory and its card; weights as safetensors only.

    Raises:
        HubError: as :func:`write_model_folder`.
    """
    for path in sorted(
        [*folder.glob("*.safetensors"), *folder.glob("*.safetensors.index.json"), *folder.glob(f"{PREFIX}*.py")]
    ):
        shutil.copyfile(path, out / path.name)
    for name in _OF_THE_ENCODER:
        if (folder / name).is_file():
            _rewrite_json(out / name, json.loads((folder / name).read_text(encoding="utf-8")), None)
    write_text(out / CARD, encoder_card(out, facts, choices))
    check_folder(out, choices.name)


def _write_training(facts: ModelFacts, out: Path) -> None:
    out.mkdir()
    assert facts.run_folder is not None  # there is no run without its folder
    record = {key: value for key, value in facts.run.items() if key != "config"}
    config = portable(facts.config, facts.roots)
    write_text(out / "config.yaml", yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    _rewrite_json(out / "run.json", record, facts)
    shutil.copyfile(facts.run_folder / "metrics.jsonl", out / "metrics.jsonl")


def _rewrite_json(path: Path, values: Mapping[str, Any], facts: ModelFacts | None) -> None:
    """A record without paths, hosts and jobs of this machine."""
    kept = _without(values, _OF_THE_MACHINE)
    write_text(path, json.dumps(portable(kept, facts.roots if facts else ()), indent=2, ensure_ascii=False) + "\n")


def _without(value: Any, keys: tuple[str, ...]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {key: _without(inner, keys) for key, inner in value.items() if key not in keys}
    return [_without(inner, keys) for inner in value] if isinstance(value, list) else value


def refuse_objections(objections: list[str], source: str, *, force: bool) -> None:
    """Raise :class:`HubError` where something speaks against publishing and nobody insists."""
    if objections and not force:
        raise HubError(f"{source}: {'; '.join(objections)}; --force publishes it all the same, and the card says so")
