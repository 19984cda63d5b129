"""The console script, as a user meets it."""

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rfcx_ssl.cli import main
from rfcx_ssl.commands.catalogue import COMMANDS
from rfcx_ssl.program import run_program

ROOT = Path(__file__).parents[2]
PROGRAMS = [path for stage in ("manifests", "pretrain", "finetune") for path in sorted((ROOT / stage).glob("*.py"))]


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


@pytest.mark.parametrize(
    "words,said",
    [
        (["dectect"], "no such command, did you mean 'detect'?"),
        ([], "which command? One of doctor"),
        (["detect"], "the following arguments are required: --model, --out"),
        (["detect", "x", "--model", "m", "--out", "o", "--bogus"], "unrecognized arguments: --bogus"),
        (["detect", "x", "--model", "m", "--out", "o", "--threads", "0"], "'0' must be a whole number above 0"),
        (["detect", "none.wav", "--model", "none", "--out", "o"], "none"),
        (["labels", "none"], "none"),
        (["synth"], "synth needs OUT"),
        (["synth", "out", "--preset", "nix"], "no config 'nix'"),
        (["download"], "download needs OUT"),
        (["preview-augment", "out", "--data", "none"], "none"),
        (["background-pool", "out", "none"], "none"),
    ],
)
def test_a_wrong_word_is_one_line_and_exit_code_2(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_bash_completes_commands_options_and_choices(tmp_path, capsys):
    main(["completion", "bash"])
    (tmp_path / "words.sh").write_text(capsys.readouterr().out)
    ask = """source words.sh; complete -p rfcx-ssl > /dev/null || exit 1
    for words in "de" "detect --for" "detect --format r"; do COMP_WORDS=(rfcx-ssl $words); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _shtab_rfcx_ssl; echo "${COMPREPLY[@]}"; done"""
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["detect", "--format", "raven"]


def test_doctor_passes_here_and_names_a_bad_folder(tmp_path):
    result = rfcx("doctor", "--path", str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert "torch+torchaudio" in result.stdout
    assert re.search(r"threads +[1-9]\d* would be used .* by threads: 1: [1-9]\d*", result.stdout)
    missing = rfcx("doctor", "--path", str(tmp_path / "none"))
    assert missing.returncode == 2
    assert "error: doctor: disk" in missing.stderr


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_program_explains_itself_and_names_a_wrong_word_on_one_line(path, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with contextlib.suppress(SystemExit):  # argparse's, with code 0
        run_program(program.main)
    assert str(path.relative_to(ROOT)) in capsys.readouterr().out
    if path.name == "launch.py":  # its words are accelerate's
        return
    monkeypatch.setattr(sys, "argv", [str(path), "--bogus"])
    with pytest.raises(SystemExit, match="2"):
        run_program(program.main)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {path.name}: ")


def test_ctrl_c_among_worker_processes_is_one_line(tmp_path):
    command = [
        sys.executable,
        "-m",
        "rfcx_ssl",
        "synth",
        str(tmp_path / "forest"),
        "--preset",
        "demo",
        "--workers",
        "2",
    ]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it for all
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        signal.signal(signal.SIGINT, before)
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*/train/*.flac")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        errors = process.stderr.read()
    assert process.returncode == 130
    assert errors == "error: stopped by Ctrl-C\n"
