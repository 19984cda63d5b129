"""Save a model with its own code, so that it loads on machines without rfcx-ssl (``trust_remote_code=True``).

The modules the model class needs are found by their imports and copied flat, with imports made relative; nothing is
written by hand, so the copy cannot drift from the library. They import torch, transformers and the standard library
only; timm and torchaudio where a model has layers of theirs.
"""

import ast
import json
from collections.abc import Mapping
from pathlib import Path

from rfcx_ssl.files import write_text
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.modeling import RainforestSedModel

PACKAGE = "rfcx_ssl"
AUTO_CLASSES: dict[str, type] = {"AutoConfig": RainforestSedConfig, "AutoModel": RainforestSedModel}
PREFIX = "rainforest_"  # a flat folder of names that clash with nothing


def save_with_code(model: RainforestSedModel, directory: Path) -> None:
    """``save_pretrained`` (safetensors), preprocessor_config.json, and the code that runs it, into ``directory``."""
    model.save_pretrained(directory)
    _write_json(directory / "preprocessor_config.json", feature_extractor_values(model))
    write_code(directory, AUTO_CLASSES)


def write_code(directory: Path, auto_classes: Mapping[str, type]) -> None:
    """The modules behind ``auto_classes`` (``AutoModel`` etc. -> our class) into a saved model, and its config says so."""
    modules = {name for kind in auto_classes.values() for name in needed_modules(kind.__module__)}
    for module in sorted(modules):
        write_text(directory / f"{exported_name(module)}.py", exported_source(module))
    config = json.loads((directory / "config.json").read_text())
    config["auto_map"] = {
        auto: f"{exported_name(kind.__module__)}.{kind.__qualname__}" for auto, kind in auto_classes.items()
    }
    _write_json(directory / "config.json", config)


def feature_extractor_values(model: RainforestSedModel) -> dict[str, object]:
    """What a Hugging Face feature extractor has to do: nothing but check the sample rate, the model normalizes."""
    return {
        "feature_extractor_type": "Wav2Vec2FeatureExtractor",
        "feature_size": 1,
        "sampling_rate": model.config.sample_rate_hz,
        "do_normalize": False,
        "padding_value": 0.0,
        "padding_side": "right",
        "return_attention_mask": False,
    }


def needed_modules(entry: str) -> list[str]:
    """``entry`` and all modules of this package it imports, directly or not."""
    found: list[str] = []
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.append(module)
            waiting += _imports(_source(module))
    return sorted(found)


def exported_name(module: str) -> str:
    """``rfcx_ssl.models.pooling`` -> ``rainforest_pooling``."""
    return PREFIX + module.rsplit(".", 1)[1]


def exported_source(module: str) -> str:
    """The module's source with every import of this package made relative."""
    source = _source(module)
    for name in _imports(source):
        source = source.replace(f"from {name} import ", f"from .{exported_name(name)} import ")
    return source


def _source(module: str) -> str:
    root = Path(__file__).parents[1]
    return root.joinpath(*module.split(".")[1:]).with_suffix(".py").read_text(encoding="utf-8")


def _imports(source: str) -> list[str]:
    """Modules of this package that a source imports; ``from rfcx_ssl.x import y`` is the only form used."""
    nodes = ast.walk(ast.parse(source))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return sorted(name for name in names if name.startswith(f"{PACKAGE}."))


def _write_json(path: Path, values: dict[str, object]) -> None:
    write_text(path, json.dumps(values, indent=2, sort_keys=True) + "\n")
