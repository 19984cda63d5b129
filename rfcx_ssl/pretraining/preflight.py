"""What can be known to be wrong before fairseq starts: settings, manifests, audio, device; each error names the key."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rfcx_ssl.audio import audio_info
from rfcx_ssl.errors import ConfigError, ManifestError, did_you_mean
from rfcx_ssl.manifest.virtual import find_split, load_virtual, split_file
from rfcx_ssl.models.mel_extractor import MelExtractor, MelExtractorSettings
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig
from rfcx_ssl.pretraining.checkpoint import parse_conv_layers
from rfcx_ssl.settings import from_plain


def compose_pretraining(config_dir: Path, name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """Compose ``<config_dir>/<name>.yaml`` with ``key=value`` overrides, as fairseq-hydra-train will.

    Raises:
        ConfigError: the file is missing, an override is malformed or unknown, or a required key is not set.
    """
    if not (config_dir / f"{name}.yaml").is_file():
        known = ", ".join(sorted(path.stem for path in config_dir.glob("*.yaml"))) or "none"
        raise ConfigError(f"--config-name {name}: not in {config_dir}; have {known}")
    with initialize_config_dir(str(config_dir.resolve()), version_base="1.1"):
        known_keys = _keys(OmegaConf.to_container(compose(name)))
        for override in overrides:
            key = override.split("=", 1)[0]
            if "=" not in override:
                raise ConfigError(f"{override!r}: an override is written key=value")
            if not key.startswith(("+", "~", "hydra.")) and key not in known_keys:
                hint = did_you_mean(key, known_keys)
                raise ConfigError(
                    f"{key}: not a key of {name}.yaml{hint} (++{override} adds a key that fairseq knows)"
                )
        try:
            config = compose(name, list(overrides))
            missing = sorted(OmegaConf.missing_keys(config))
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(f"{name}.yaml {' '.join(overrides)}: {' '.join(str(error).split())}") from None
    if missing:
        raise ConfigError(f"{missing[0]}: required, not set (give {missing[0]}=...)")
    return _resolved(config, name)


def check_pretraining(config: Mapping[str, Any]) -> None:
    """Stop on what fairseq would only find out later, or never say clearly.

    Raises:
        ConfigError: a setting breaks a rule or there is no GPU for it.
        ManifestError: a manifest is missing, malformed, too small, or its audio has another sample rate.
    """
    _check_frames(config)
    common = config["common"]
    if not common["cpu"] and not torch.cuda.is_available():
        raise ConfigError(
            "common.cpu=false, and there is no GPU; add common.cpu=true common.fp16=false common.bf16=false"
        )
    if common["cpu"] and (common["fp16"] or common["bf16"]):
        raise ConfigError("common.cpu=true needs common.fp16=false common.bf16=false")
    if common.get("log_format") != "json" or not common.get("log_file"):
        raise ConfigError("common.log_format=json and common.log_file are needed to follow the run")
    if not (config["dataset"].get("max_tokens") or config["dataset"].get("batch_size")):
        raise ConfigError("dataset.max_tokens or dataset.batch_size must be set")
    _check_data(config)


def _check_frames(config: Mapping[str, Any]) -> None:
    """What makes frames of a waveform: convolutions, or log-mel with settings of its own."""
    model, task = config["model"], config["task"]
    if model["_name"] != Wav2Vec2MelConfig.model_type:
        parse_conv_layers(str(model["conv_feature_layers"]))
        return
    try:
        MelExtractor(
            from_plain(MelExtractorSettings, model["mel_extractor"] or {}, "model.mel_extractor"), task["sample_rate"]
        )
    except ValueError as error:
        raise ConfigError(f"model.mel_extractor: {error}") from None
    if task["normalize"]:
        raise ConfigError(
            "task.normalize=true: model._name=wav2vec2_mel needs false, it hears levels relative by itself"
        )


def _check_data(config: Mapping[str, Any]) -> None:
    """Both manifests exist, are long enough to fill a batch, and hold audio of the task's rate."""
    task, dataset = config["task"], config["dataset"]
    folder = Path(task["data"])
    if not folder.is_dir():
        raise ManifestError(f"task.data={folder}: no such folder; manifests/build.py makes one")
    subsets = [dataset["train_subset"]]
    subsets += [] if dataset["disable_validation"] else str(dataset["valid_subset"]).split(",")
    for subset in subsets:
        manifest = load_virtual(_split_of_task(folder, str(subset), str(task["_name"])))
        shortest = int(task.get("min_sample_size") or 0)
        kept = int((manifest.sizes >= shortest).sum())
        needed = max(int(dataset["required_batch_size_multiple"]), 1)
        if kept < needed:
            raise ManifestError(
                f"{manifest.path}: {kept} of {len(manifest)} segments have task.min_sample_size={shortest} samples; "
                f"fairseq needs {needed} to fill a batch (dataset.required_batch_size_multiple={needed})"
            )
        rates = {manifest.sample_rate_hz}
        if manifest.path.suffix == ".tsv":
            rates.add(audio_info(manifest[0].path).sample_rate_hz)
        if rates != {task["sample_rate"]}:
            raise ManifestError(f"{manifest.path}: {sorted(rates)} Hz, but task.sample_rate={task['sample_rate']}")


def _split_of_task(folder: Path, split: str, task_name: str) -> Path:
    """The manifest of a split that ``task_name`` will read: fairseq's own task knows the prepared form only."""
    found = find_split(folder, split)
    if task_name != "audio_pretraining":
        return found
    prepared = split_file(folder, split, virtual=False)
    if found != prepared and not prepared.is_file():
        raise ManifestError(f"{found} is a virtual manifest; add task._name=rainforest_audio_pretraining")
    return prepared


def _resolved(config: DictConfig, name: str) -> dict[str, Any]:
    try:
        plain = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{name}.yaml: {' '.join(str(error).split())}") from None
    if not isinstance(plain, dict):
        raise ConfigError(f"{name}.yaml: not a mapping")
    return {str(key): value for key, value in plain.items()}


def _keys(values: Any, prefix: str = "") -> list[str]:  # noqa: ANN401 - nested plain containers
    """All dotted keys of a nested mapping, groups included."""
    if not isinstance(values, dict):
        return []
    found = []
    for key, value in values.items():
        found += [f"{prefix}{key}", *_keys(value, f"{prefix}{key}.")]
    return found
