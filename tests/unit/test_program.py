"""What surrounds every program: errors on one line, Ctrl-C, a closed pipe, logging that no library decides."""

import importlib
import importlib.util
import inspect
import json
import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.commands.catalogue import COMMANDS, module_of
from rfcx_ssl.errors import ConfigError, RfcxError
from rfcx_ssl.program import Answer, Parser, add_threads, add_workers, console_logging, run_program

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path for stage in ("manifests", "pretrain", "finetune") for path in (ROOT / stage).glob("*.py"))


def python(code, **options):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, **options)


class Refused(RfcxError):
    exit_code = 3


@pytest.mark.parametrize(
    "error,code,said",
    [
        (ConfigError("rate=0: must be above 0"), 2, "error: rate=0: must be above 0\n"),
        (ConfigError("two lines\n  become one"), 2, "error: two lines become one\n"),
        (Refused("a gate"), 3, "error: a gate\n"),
        (KeyboardInterrupt(), 130, "error: stopped by Ctrl-C\n"),
    ],
)
def test_an_end_is_one_line_and_a_code(capsys, error, code, said):
    def main():
        raise error

    with pytest.raises(SystemExit) as caught:
        run_program(main)
    assert caught.value.code == code
    assert capsys.readouterr().err == said


def test_other_errors_keep_their_traceback():
    with pytest.raises(ZeroDivisionError):
        run_program(lambda: 1 / 0)


@pytest.mark.parametrize(
    "missing,is_theirs",
    [
        ("/forest/a.flac", True),
        (str(ROOT / "rfcx_ssl" / "species" / "lost.csv"), False),  # a wheel without a file of ours: a bug
        (None, False),  # a line that names nothing helps nobody
    ],
)
def test_a_missing_file_is_a_line_where_it_is_the_users(capsys, missing, is_theirs):
    def main():
        raise FileNotFoundError(2, "No such file or directory", *([missing] if missing else []))

    with pytest.raises(SystemExit if is_theirs else FileNotFoundError):
        run_program(main)
    assert capsys.readouterr().err == (f"error: {missing}: No such file or directory\n" if is_theirs else "")


def test_one_of_several_processes_says_it(capsys, monkeypatch):
    slept = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("rfcx_ssl.program.time.sleep", slept.append)
    with pytest.raises(SystemExit):
        run_program(lambda: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert (capsys.readouterr().err, slept) == ("", [])
    with pytest.raises(SystemExit):  # this process may be the only one that failed
        run_program(lambda: (_ for _ in ()).throw(ConfigError("x")))
    assert capsys.readouterr().err == "error: x\n"
    assert slept  # but the first has time to say it, and the launcher to end this one


@dataclass
class Row:
    name: str
    score: float


def test_json_is_all_that_stdout_gets(capsys):
    def main():
        print("for people")
        return {
            "out": Path("a/b"),
            "scores": np.array([1.5, np.nan]),
            "rows": (Row("é", np.float32(0.5)),),
            "none": None,
        }

    run_program(main, ["--json"])
    shown = capsys.readouterr()
    rows = [{"name": "é", "score": 0.5}]
    assert json.loads(shown.out) == {"out": "a/b", "scores": [1.5, None], "rows": rows, "none": None}
    assert shown.out.count("\n") == 1
    assert shown.err == "for people\n"
    run_program(main, [])
    assert capsys.readouterr().out == "for people\n"


def test_json_says_why_it_ended_and_what_was_made_all_the_same(capsys):
    def main():
        raise Refused("3 of 9 were\nunreadable", {"events": 7})

    with pytest.raises(SystemExit, match="3"):
        run_program(main, ["--json"])
    assert json.loads(capsys.readouterr().out) == {"events": 7, "error": "3 of 9 were unreadable", "exit_code": 3}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_an_answer(name):
    assert inspect.signature(importlib.import_module(module_of(name)).run).return_annotation is Answer


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_program_has_an_answer(path):
    if path.name == "launch.py":  # its words, and what it prints, are accelerate's
        return
    spec = importlib.util.spec_from_file_location("program", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert inspect.signature(program.main).return_annotation is Answer


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("writer", ["print('x', file=sys.{})", "Console(file=sys.{}).print('x')"])
def test_a_closed_pipe_is_no_error(writer, stream):
    code = f"""
import sys
from rich.console import Console
from rfcx_ssl.program import run_program
sys.stdin.read()
run_program(lambda: {writer.format(stream)})
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        getattr(process, stream).close()
        process.stdin.close()
        assert (process.stderr if stream == "stdout" else process.stdout).read() == b""
    assert process.returncode == 141


def test_a_broken_pipe_between_processes_keeps_its_traceback():
    def main():
        reader, writer = os.pipe()
        os.close(reader)
        os.write(writer, b"x")

    with pytest.raises(BrokenPipeError):
        run_program(main, [])


@pytest.mark.parametrize(
    "words,said",
    [
        ([], "tool: the following arguments are required: out (--help says more)"),
        (["x", "--threads", "0"], "argument --threads: '0' must be a whole number above 0"),
        (["x", "--workers", "many"], "argument --workers: 'many' must be a whole number above 0"),
        (["x", "--bogus"], "unrecognized arguments: --bogus"),
    ],
)
def test_wrong_words_are_config_errors(words, said):
    parser = Parser("What it does.", prog="tool")
    parser.add_argument("out")
    add_threads(parser)
    add_workers(parser)
    with pytest.raises(ConfigError) as caught:
        parser.parse_args(words)
    assert said in str(caught.value)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_program_loads_torch_before_its_entry(path):
    """How threads wait is decided at the entry, and torch reads it when it loads."""
    code = (
        f"import importlib.util, sys; spec = importlib.util.spec_from_file_location('program', {str(path)!r})\n"
        "spec.loader.exec_module(importlib.util.module_from_spec(spec)); sys.exit('torch' in sys.modules)"
    )
    done = python(code, cwd=ROOT)
    assert done.returncode == 0, done.stderr


PICTURE = """
import logging
{before}
from rfcx_ssl.program import run_program

def main():
    {inside}
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.plot([1, 2])
    plt.title("calls")
    plt.savefig({file!r})
    logging.getLogger("rfcx_ssl.data.corpus").info("caching 3 recordings")
    logging.getLogger("rfcx_ssl.data.corpus").warning("species 22\\nis inaudible")
    logging.getLogger("somebody").info("hello")
    logging.getLogger("somebody.else").warning("old\\nfile")

run_program(main)
"""
FLOOD = "logging.basicConfig(level=logging.DEBUG{options})"


@pytest.mark.parametrize(
    "before,inside",
    [
        ("", "pass"),
        (FLOOD.format(options=""), "pass"),
        ("", FLOOD.format(options="")),
        ("", FLOOD.format(options="") + "; logging.getLogger().setLevel(logging.DEBUG)"),
    ],
    ids=["quiet", "before", "after", "root"],
)
def test_pictures_and_progress_do_not_depend_on_the_root_logger(tmp_path, before, inside):
    file = tmp_path / "picture.png"
    done = python(PICTURE.format(before=before, inside=inside, file=str(file)))
    assert done.returncode == 0, done.stderr
    assert file.stat().st_size
    lines = done.stderr.splitlines()
    assert lines[:2] == ["caching 3 recordings", "warning: species 22 is inaudible"]
    assert not [line for line in lines if "DEBUG" in line or "hello" in line]
    assert "somebody.else" in lines[2]
    if not before:
        assert lines[2:] == ["warning: somebody.else: old file"]


def test_a_forced_root_logger_does_not_flood_either(tmp_path):
    force = FLOOD.format(options=", force=True")
    done = python(PICTURE.format(before="", inside=force, file=str(tmp_path / "picture.png")))
    assert "matplotlib" not in done.stderr
    assert "PIL" not in done.stderr


def test_logging_is_given_back():
    loggers = [logging.getLogger(name) for name in (None, "rfcx_ssl", "matplotlib", "PIL")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    with console_logging():
        assert not logging.getLogger("rfcx_ssl").propagate
    assert [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers] == before


def test_other_ranks_do_not_repeat_warnings(capsys, monkeypatch):
    for rank, said in (("0", "warning: w\n"), ("1", "")):
        monkeypatch.setenv("RANK", rank)
        with console_logging():
            logging.getLogger("rfcx_ssl.x").warning("w")
        assert capsys.readouterr().err == said


def test_programs_are_importable_without_running():
    for path in PROGRAMS:
        spec = importlib.util.spec_from_file_location(f"program_{path.stem}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert callable(module.main)
