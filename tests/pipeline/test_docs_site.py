"""The documentation site: complete, strict, and a configuration reference that names every key there is."""

import dataclasses
import importlib.util
import logging
import re
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
HOOKS = DOCS / "hooks"


@pytest.fixture
def hooks(monkeypatch):
    """The modules beside the hook can be imported by their names, as mkdocs does it."""
    monkeypatch.syspath_prepend(str(HOOKS))


def pages_of(nav):
    """Pages in a part of the navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in pages_of(part)]


def test_every_page_is_in_the_navigation_once():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    assert sorted(pages_of(nav)) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.usefixtures("hooks")
def test_the_reference_names_every_key_of_every_settings_class():
    reference = importlib.import_module("settings_reference")
    tables = {}  # class -> keys of all tables that are about it
    for program in reference.PROGRAMS:
        for part in reference.parts(program):
            rows = re.findall(r"^\| `([\w.]+)` \|", "\n".join(reference.table(part)), flags=re.MULTILINE)
            assert all(row.startswith(part.prefix) for row in rows)
            tables.setdefault(part.cls, set()).update(row.rsplit(".", 1)[-1] for row in rows)
    for cls, keys in tables.items():
        assert keys == {field.name for field in dataclasses.fields(cls)}, cls
    page = reference.reference()
    declared = [
        (path, name)
        for path in sorted((ROOT / "rfcx_ssl").rglob("*.py"))
        for name in re.findall(r"^@settings\nclass (\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert len(declared) > 60
    for path, name in declared:
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for field in dataclasses.fields(getattr(module, name)):
            assert re.search(rf"^\| `([\w]+\.)*{field.name}` \|", page, flags=re.MULTILINE), f"{name}.{field.name}"


@pytest.mark.usefixtures("hooks")
def test_comments_defaults_and_rules_come_from_where_they_are_written(tmp_path):
    source = importlib.import_module("settings_source")
    file = tmp_path / "some.yaml"
    file.write_text(
        "# What the file is.\nrate: 3e-4 # of learning\n# how it is heard\nwindow_s: null     # length,\n"
        "                   # or none\naverage:\n  ema: null # decay\n  top: 1\nlast: 2\n",
        encoding="utf-8",
    )
    notes = source.yaml_notes(file)
    assert list(notes) == ["rate", "window_s", "average", "average.ema", "average.top", "last"]
    assert notes["rate"] == ("of learning", "")
    assert notes["window_s"] == ("length, or none", "how it is heard")
    assert notes["average.ema"].comment == "decay" and notes["last"] == ("", "")
    module = tmp_path / "component.py"
    module.write_text(
        "from rfcx_ssl.settings import settings\nLIMIT = 7\n@settings\nclass Base:\n    # sizes\n    low: int = 1  # in m\n"
        "    high: int = 2\n    def __post_init__(self):\n        for key in ('low', 'high'):\n"
        "            if getattr(self, key) < 0:\n                raise ValueError(f'{key}={getattr(self, key)} must be 0 or more')\n"
        "        if self.low > self.high:\n            raise ValueError(f'need low <= high, got {self.low} and {self.high}')\n"
        "@settings\nclass More(Base):\n    most: int = 3\n    def __post_init__(self):\n        super().__post_init__()\n"
        "        if self.most > LIMIT:\n            raise ValueError(f'most={self.most} must be at most {LIMIT}')\n",
        encoding="utf-8",
    )
    spec = importlib.util.spec_from_file_location("component", module)
    component = importlib.util.module_from_spec(spec)
    sys.modules["component"] = component
    try:
        spec.loader.exec_module(component)
        assert source.class_notes(component.Base) == {"low": ("in m", "sizes"), "high": ("", "")}
        assert source.rules(component.More) == [
            "low must be 0 or more",
            "high must be 0 or more",
            "need low <= high",
            "most must be at most 7",
        ]
    finally:
        del sys.modules["component"]


@pytest.mark.usefixtures("hooks")
def test_links_out_of_docs_lead_to_pages_of_the_site():
    outside = importlib.import_module("outside")
    text = (
        "[a](../configs/x.yaml) [b](../finetune/README.md#top) [c](labels.md#x) [d](#e) [f](https://g.h/i) `[j](../k)`"
    )
    assert outside.linked(text, "docs/page.md") == ["configs/x.yaml", "finetune/README.md"]
    assert outside.relinked(text, "docs/page.md") == (
        "[a](files/configs/x.yaml.md) [b](files/finetune/README.md#top) [c](labels.md#x) [d](#e) [f](https://g.h/i) `[j](../k)`"
    )
    assert outside.relinked("![p](docs/images/a.png) [q](docs/labels.md)", "README.md") == (
        "![p](../images/a.png) [q](../labels.md)"
    )
    shown = outside.as_page("configs/synth/tiny.yaml")
    assert (ROOT / "configs/synth/tiny.yaml").read_text(encoding="utf-8").rstrip() in shown


def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path, monkeypatch):
    build = pytest.importorskip("mkdocs.commands.build", reason="needs the extra docs")
    pytest.importorskip("material", reason="needs the extra docs")
    from mkdocs.config import load_config

    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    config = load_config(str(ROOT / "mkdocs.yml"), site_dir=str(tmp_path / "site"))
    assert config.strict
    level = logging.getLogger("mkdocs").level
    try:
        build.build(config)
    finally:
        logging.getLogger("mkdocs").setLevel(level)
    for page in (tmp_path / "site").rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=\"([^\"]+)\"", page.read_text("utf-8"))
        assert [address for address in loaded if re.match(r"(\w+:)?//", address)] == [], page.name
    text = (tmp_path / "site" / "configuration.html").read_text("utf-8")
    assert "augment.pink_noise.snr_min_db" in text and "files/configs/finetune/train.yaml.html" in text
