"""The layout of the repository and the direction of imports (docs/architecture.md)."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "rfcx_ssl"
TOP = ("pretrain", "finetune", "rfcx_ssl", "manifests", "configs", "tests", "pyproject.toml")


def layers():
    text = (ROOT / "docs" / "architecture.md").read_text()
    chain = re.search(r"`(errors < .*?)`", text, flags=re.DOTALL).group(1)
    return [name.strip() for name in chain.split("<")]


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


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
    below = set(order[: order.index(own) + 1])
    reached = {name.split(".")[1] for name in imported_modules(path) if name and name.startswith("rfcx_ssl.")}
    assert reached - {"__version__"} <= below, f"{path.name} in layer {own} reaches up"


@pytest.mark.parametrize("package,allowed", [("accelerate", {"training", "inference"}), ("fairseq", {"pretraining"})])
def test_heavy_packages_stay_in_their_layer(package, allowed):
    users = {
        layer_of(path)
        for path in SOURCES
        if any(re.match(rf"{package}(\.|$)", n or "") for n in imported_modules(path))
    }
    assert users <= allowed


@pytest.mark.parametrize("stage", ["manifests", "pretrain", "finetune"])
def test_stages_are_thin_and_never_import_each_other(stage):
    others = {"manifests", "pretrain", "finetune"} - {stage}
    for path in (ROOT / stage).glob("*.py"):
        assert not {name.split(".")[0] for name in imported_modules(path) if name} & others, path
        assert len(path.read_text().splitlines()) <= 120, f"{path} is not thin: move the work into rfcx_ssl"


def test_no_junk_drawers_and_no_giants():
    assert [path for path in SOURCES if path.stem in ("utils", "helpers", "misc", "common")] == []
    assert [str(path) for path in SOURCES if len(path.read_text().splitlines()) > 420] == []
