"""The console script, as a user meets it."""

import subprocess
import sys

import pytest

from rfcx_ssl.cli import COMMANDS


def rfcx(*arguments):
    return subprocess.run([sys.executable, "-m", "rfcx_ssl", *arguments], capture_output=True, text=True, check=False)


def test_help_names_every_command_and_is_light():
    result = rfcx("--help")
    assert result.returncode == 0
    assert all(name in result.stdout for name in COMMANDS)
    light = "import sys, rfcx_ssl.cli; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'matplotlib')))"
    assert subprocess.run([sys.executable, "-c", light], check=False).returncode == 0


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command):
    result = rfcx(command, "--help")
    assert result.returncode == 0, result.stderr
    assert command in result.stdout


def test_an_unknown_command_exits_with_2():
    assert rfcx("dectect").returncode == 2


def test_doctor_passes_here_and_names_a_bad_folder(tmp_path):
    result = rfcx("doctor", "--path", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "torch+torchaudio" in result.stdout
    missing = rfcx("doctor", "--path", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "error: doctor: disk" in missing.stderr
