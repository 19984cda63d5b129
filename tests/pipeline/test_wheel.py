"""The wheel holds the library and its configs, and works without the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("rfcx_ssl-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A new environment with only the wheel in it; the dependencies are lent by this one, the checkout is not."""
    home = tmp_path_factory.mktemp("clean")
    venv.create(home, with_pip=False)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = home / "lib" / version / "site-packages"
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
        str(wheel),
    ]
    subprocess.run(command, check=True, capture_output=True)
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")  # .pth files in there are not followed
    return home


def run(home, *arguments):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(home / "bin" / "python"), "-m", "rfcx_ssl", *arguments]
    return subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)


def test_wheel_holds_library_and_configs_only(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "rfcx_ssl/configs/finetune/train.yaml" in names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"rfcx_ssl"}


def test_it_is_the_wheel_that_is_imported(installed):
    command = [str(installed / "bin" / "python"), "-c", "import rfcx_ssl; print(rfcx_ssl.__file__)"]
    found = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=True).stdout
    assert str(installed) in found


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["detect", "--help"], ["synth", "--help"]])
def test_commands_work_from_the_wheel(installed, arguments):
    result = run(installed, *arguments)
    assert result.returncode == 0, result.stdout + result.stderr


def test_detect_works_from_the_wheel(installed, tmp_path):
    settings = PannsSettings(channels=(4,), time_pools=(4,), freq_pools=(4,), embedding_dim=4, window_s=1.0)
    model = build_model(settings, label_space(rfcx_species()))
    with torch.no_grad():
        model.head.classify.bias.zero_()  # an untrained detector that hears everything everywhere
    model.save_pretrained(tmp_path / "model")
    soundfile.write(tmp_path / "forest.flac", np.random.default_rng(0).normal(0, 0.1, 64_000), 32_000)
    arguments = [str(tmp_path / "forest.flac"), "--model", str(tmp_path / "model"), "--out", str(tmp_path / "events")]
    result = run(installed, "detect", *arguments, "--threshold", "0.01")
    assert result.returncode == 0, result.stdout + result.stderr
    events = (tmp_path / "events" / "events.csv").read_text().splitlines()
    assert len(events) > 1


PLUGIN = """
import argparse, sys
from pathlib import Path
import rfcx_ssl
from fairseq import utils
from fairseq.tasks import TASK_REGISTRY
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(rfcx_ssl.__file__).parent / "pretraining" / "plugin"
utils.import_user_module(argparse.Namespace(user_dir=str(folder)))
assert "rainforest_audio_pretraining" in TASK_REGISTRY
from fairseq.models.wav2vec import wav2vec2
assert hasattr(wav2vec2.compute_mask_indices, "__wrapped__")
assert not hasattr(wav2vec2.compute_mask_indices.__wrapped__, "__wrapped__")
print(folder)
"""


def test_fairseq_finds_the_plugin_in_the_installed_package(installed):
    command = [str(installed / "bin" / "python"), "-W", "ignore", "-c", PLUGIN]
    done = subprocess.run(command, cwd=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout


def test_fairseq_finds_the_plugin_by_the_door_in_a_checkout():
    command = [sys.executable, "-W", "ignore", "-c", PLUGIN, str(ROOT / "pretrain" / "fairseq_plugin")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
