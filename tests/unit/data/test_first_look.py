"""What a first look says of a folder, and the settings it proposes."""

import re

import numpy as np
import pytest
import soundfile

from rfcx_ssl import cli
from rfcx_ssl.config import load_settings
from rfcx_ssl.data.first_look import describe, look, project_text
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.training.train import TrainSettings


@pytest.fixture
def folder(tmp_path):
    """``folder(lines, rate_hz)``: recordings r0 to r5 of 10 s and one CSV of labels; `sites` of them in recordings.csv."""

    def make(lines, rate_hz=8_000, sites=None):
        root = tmp_path / "my birds"
        root.mkdir()
        for number in range(6):
            soundfile.write(root / f"r{number}.wav", np.zeros(10 * rate_hz, np.int16), rate_hz)
        (root / "labels.csv").write_text("\n".join(["file,start_s,end_s,label,low_hz,high_hz,state", *lines, ""]))
        if sites:
            rows = [f"r{number},{site}" for number, site in enumerate(sites)]
            (root / "recordings.csv").write_text("\n".join(["file,site", *rows, ""]))
        return root

    return make


def proposed(root, complete="listed"):
    found = look(root, complete)
    (root / "project.yaml").write_text(project_text(found, date="2026-01-01", version="1"), encoding="utf-8")
    return found, load_settings(
        TrainSettings, "finetune", "train", [f"project={root / 'project.yaml'}", "output_dir=runs/x"]
    )


def test_short_low_calls_keep_the_usual_settings(folder):
    lines = [f"r{number},1.0,1.5,owl,300,900,present" for number in range(6)] + ["r0,5,6,owl,300,900,absent"]
    found, settings = proposed(folder(lines))
    assert found.annotations.has_negatives and found.sample_rate_hz == 32_000 and settings.data.crop_s == 2.5
    assert settings.data.root.name == "my birds" and settings.data.layout == "annotations"
    assert (settings.data.group_by, settings.data.num_folds, settings.model.kind) == ("recording", 5, "panns")


def test_long_high_calls_want_more(folder):
    lines = [f"r{number},1.0,4.5,bat,30000,45000,present" for number in range(6)]
    found, settings = proposed(folder(lines, sites="abcdef"), "all")
    assert (settings.data.sample_rate_hz, settings.model.sample_rate_hz) == (96_000, 96_000)
    assert settings.model.mel.f_max_hz == 48_000 and (settings.model.mel.hop_samples, settings.model.mel.n_fft) == (
        1920,
        4096,
    )
    assert settings.data.crop_s == 10.0 and settings.data.group_by == "site" and found.annotations.has_negatives


def test_a_folder_without_negatives_and_with_rare_species_is_told_so(folder, capsys):
    root = folder(["r0,1,2,owl,,,present", "r1,1,2,owl,,,present", "r2,1,2,wren,,,present"])
    cli.main(["init", str(root)])
    said = capsys.readouterr().out
    assert "nothing is known to be absent" in said and "owl (2), wren (1)" in said
    assert "NOTHING IS KNOWN TO BE ABSENT" in (root / "project.yaml").read_text()
    for command in ("labels", "train.py", "evaluate", "detect"):
        assert re.search(rf"^  .*{command}", said, flags=re.MULTILINE)
    with pytest.raises(SystemExit):
        cli.main(["init", str(root)])
    assert "is there already" in capsys.readouterr().err
    cli.main(["init", str(root), "--force", "--complete", "tables"])
    assert load_data_settings(root / "project.yaml", "rfcx", []).complete == "tables"


def test_what_cannot_be_read_is_listed(folder):
    root = folder(["r0,1,2,owl,,,present", "r1,1,2,owl,,,present"])
    (root / "r1.wav").write_bytes(b"no audio")
    assert any(line.startswith("cannot be read: ") and "r1.wav" in line for line in describe(look(root, "listed")))
