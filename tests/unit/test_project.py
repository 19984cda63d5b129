import re

import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.project import expand_project, read_project
from rfcx_ssl.training.train import TrainSettings


@pytest.fixture
def project(tmp_path):
    def write(*lines):
        path = tmp_path / "a field's work" / "project.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


LINES = ("data: rfcx", "data.root: .  # here", "data.crop_s: 3.5", "data.extra_tables: [a.csv, 'b c.txt']", "model: panns_demo",
         "max_steps: 7", "data.folds_file: null", "augment.pink_noise: null")  # fmt: skip


def test_its_lines_are_settings_and_the_command_line_wins(project):
    path = project(*LINES)
    settings = load_settings(TrainSettings, "finetune", "train", ["max_steps=9", f"project={path}", "output_dir=x"])
    assert settings.data.root == path.parent and settings.data.crop_s == 3.5 and settings.max_steps == 9
    assert list(settings.data.extra_tables) == [path.parent / "a.csv", path.parent / "b c.txt"]
    assert settings.data.folds_file is None and settings.augment.pink_noise is None and settings.model.kind == "panns"


def test_the_data_alone(project):
    settings = load_data_settings(project(*LINES), "synth", ["crop_s=2"])
    assert settings.root.name == "a field's work" and settings.crop_s == 2 and settings.group_by == "recording"


def test_without_a_project_nothing_changes():
    assert expand_project(["a=1", "b.project=2"]) == ["a=1", "b.project=2"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["data: rfcx", "data: synth"], "'data' is there twice"),
        (["- a", "- b"], "must hold lines of key: value"),
        (["a: [1"], "cannot be read"),
        (["x: !!python/object/apply:os.system [true]"], "cannot be read"),
    ],
)
def test_mistakes_are_named(project, lines, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_project(project(*lines))


def test_an_unknown_key_and_a_missing_file(project, tmp_path):
    with pytest.raises(ConfigError, match=r"data\.crop_seconds"):
        load_settings(
            TrainSettings, "finetune", "train", [f"project={project(*LINES, 'data.crop_seconds: 1')}", "output_dir=x"]
        )
    with pytest.raises(ConfigError, match="cannot be read"):
        read_project(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="only one project file"):
        expand_project(["project=a.yaml", "project=b.yaml"])
