"""The layout of the repository and the direction of imports (docs/architecture.md)."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rfcx_ssl"
TOP = ("pretrain", "finetune", "rfcx_ssl", "manifests", "configs", "tests", "pyproject.toml")


def layers():
    text = (ROOT / "docs" / "architecture.md").read_text()
    chain = re.search(r"`(errors < .*?)`", text, flags=re.DOTALL).group(1)
    return [name.strip() for name in chain.split("<")]


def is_module(name):
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def named_module(text):
    """The module of this package that a string is the name of (``rfcx_ssl.commands.synth``, ``rfcx_ssl.cli:main``)."""
    if not re.fullmatch(r"rfcx_ssl(\.\w+)+[.:]?\w*", text):
        return None
    name = text.split(":")[0].rstrip(".")
    while "." in name and not is_module(name):
        name = name.rsplit(".", 1)[0]
    return name if "." in name else None


def imported_modules(path):
    """What a file imports, anywhere in it: relative and TYPE_CHECKING imports and names in strings count, too."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from filter(None, [named_module(node.value)])
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("import_module", "require_extra", "__import__"):
                yield str(node.args[0].value)


def rooms_of(path):
    """Rooms of this package that a file imports from."""
    return {name.split(".")[1] for name in imported_modules(path) if name.startswith("rfcx_ssl.")} - {"__version__"}


def packages_of(path):
    """Other people's packages that a file imports."""
    names = {name.split(".")[0] for name in imported_modules(path)}
    return names - sys.stdlib_module_names - {"rfcx_ssl", ""}


def layer_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


SOURCES = sorted(PACKAGE.rglob("*.py"))


def test_top_level_folders_exist():
    assert [name for name in TOP if not (ROOT / name).exists()] == []


def test_every_module_has_a_layer():
    outside = {layer_of(path) for path in SOURCES} - set(layers()) - {"__init__", "__main__"}
    assert outside == set()


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    order, own = layers(), layer_of(path)
    if own in ("__init__", "__main__"):
        return
    assert rooms_of(path) <= set(order[: order.index(own) + 1]), f"{path.name} in layer {own} reaches up"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import rfcx_ssl.models.build", {"models"}),
        ("from rfcx_ssl import models", {"models"}),
        ("if TYPE_CHECKING:\n    from rfcx_ssl.training.train import train", {"training"}),
        ("def late():\n    from ..training import train", {"training"}),
        ("from .. import training", {"training"}),
        ("importlib.import_module('rfcx_ssl.training.train')", {"training"}),
        ("ENTRY = 'rfcx_ssl.cli:main'", {"cli"}),
        ("f'rfcx_ssl.commands.{name}'", {"commands"}),
        ("KEY = 'rfcx_ssl.sample_rate_hz'  # no module", set()),
        ('"""Prose about rfcx_ssl.models.build imports nothing."""', set()),
    ],
)
def test_every_way_to_import_is_seen(tmp_path, monkeypatch, source, expected):
    module = tmp_path / "rfcx_ssl" / "losses" / "new.py"
    module.parent.mkdir(parents=True)
    module.write_text(source)
    for name in ("models", "training", "commands"):
        (tmp_path / "rfcx_ssl" / name).mkdir()
    for name in ("models/build.py", "training/train.py", "cli.py"):
        (tmp_path / "rfcx_ssl" / name).touch()
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    assert rooms_of(module) == expected


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("accelerate", {"training", "inference"}),
        ("fairseq", {"pretraining"}),
        ("fairseq_cli", {"pretraining"}),
        ("matplotlib", {"pictures", "pretraining", "probing", "report", "training"}),
        ("pydantic", {"config", "settings"}),
    ],
)
def test_heavy_packages_stay_in_their_layer(package, allowed):
    users = {layer_of(path) for path in SOURCES if package in packages_of(path)}
    assert users <= allowed


@pytest.mark.parametrize(
    ("room", "rooms", "packages"),
    [
        ("losses", {"errors", "settings", "species", "labels"}, {"numpy", "torch"}),
        (
            "metrics",
            {"errors", "settings"},
            {"numpy", "sed_scores_eval", "pandas"},
        ),  # the two last ones late, for PSDS
        (
            "models",
            {"errors", "hub_id", "files", "settings", "config", "frames", "species"},
            {"numpy", "torch", "transformers", "timm", "torchaudio", "onnx", "onnxscript"},
        ),
    ],
)
def test_tensors_in_and_tensors_out(room, rooms, packages):
    """Losses, metrics and models know neither files of other rooms nor packages that read or draw."""
    for path in (PACKAGE / room).rglob("*.py"):
        assert rooms_of(path) <= rooms | {room}, path
        assert packages_of(path) <= packages, path


FLOOR = """
import importlib, pkgutil, sys
for room in ("losses", "metrics"):
    package = importlib.import_module(f"rfcx_ssl.{room}")
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""
HEAVY = {
    "hydra",
    "omegaconf",
    "pydantic",
    "pyarrow",
    "pandas",
    "transformers",
    "soundfile",
    "matplotlib",
    "accelerate",
}


def test_losses_and_metrics_load_torch_and_numpy_only():
    loaded = subprocess.run([sys.executable, "-c", FLOOR], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(loaded.stdout.split()) & HEAVY == set()
    assert {"torch", "numpy", "rfcx_ssl"} <= set(loaded.stdout.split())


@pytest.mark.parametrize("stage", ["manifests", "pretrain", "finetune"])
def test_stages_are_thin_and_never_import_each_other(stage):
    others = {"manifests", "pretrain", "finetune"} - {stage}
    for path in (ROOT / stage).rglob("*.py"):
        assert not {name.split(".")[0] for name in imported_modules(path)} & others, path
        assert len(path.read_text().splitlines()) <= 120, f"{path} is not thin: move the work into rfcx_ssl"


def test_no_junk_drawers_and_no_giants():
    assert [path for path in SOURCES if path.stem in ("utils", "helpers", "misc", "common")] == []
    assert [str(path) for path in SOURCES if len(path.read_text().splitlines()) > 420] == []
