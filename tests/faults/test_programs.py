"""Programs meet machines: killed, full, read-only, shared, small and foreign ones. docs/reliability.md says what is promised.

The ordinary run tries the programs that start quickly; ``RFCX_FAULTS=long`` tries every program with every fault.
"""

import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("RFCX_FAULTS") == "long"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "true"}
LIMIT_S = 280
LATER = """
import time
year_s, now, now_ns = 365 * 86_400, time.time, time.time_ns
time.time, time.time_ns = lambda: now() + year_s, lambda: now_ns() + year_s * 10**9
"""
KILLS, SLOW_S = (3 if LONG else 1), 15  # programs that take longer are killed once
long_only = pytest.mark.skipif(not LONG, reason="RFCX_FAULTS=long runs it")


def start(words, env=ENVIRONMENT, before: Callable[[], object] | None = None, **options):
    return subprocess.Popen(
        words, env=env, cwd=options.pop("cwd", ROOT), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True, preexec_fn=before, **options,
    )  # fmt: skip


def finish(process):
    """Exit code and stderr; the program and all that it started must be gone by then."""
    try:
        _, errors = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        pytest.fail(f"{process.args} hangs")
    return process.returncode, errors.decode(errors="replace")


def run(words, code=0, **options):
    found, errors = finish(start(words, **options))
    assert found == code, errors[-3000:]
    return errors


def is_one_line(errors):
    """The line; a program that starts trainings comes after theirs, and says which have failed."""
    assert "Traceback" not in errors, errors[-3000:]
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 or lines[-1:] == [line for line in lines if line.startswith("error: failed: ")], errors[
        -3000:
    ]
    return "\n".join(lines)


@pytest.fixture(scope="session")
def inputs(programs, made, all_inputs, tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("inputs")
    if LONG:
        all_inputs(folder)
    own = [item for item in request.session.items if item.path == Path(__file__) and hasattr(item, "callspec")]
    tried = {item.callspec.params.get("name") for item in own}
    for kind in {kind for name in tried & programs.keys() for kind in programs[name].needs}:
        run(made[kind](folder))
    return folder


@pytest.fixture(scope="session")
def undisturbed(programs, inputs, tmp_path_factory):
    """``undisturbed(name)``: seconds and result of a run that nothing happens to."""
    found = {}

    def once(name):
        if name not in found:
            out, started = tmp_path_factory.mktemp(name) / "out", time.monotonic()
            run(programs[name].words(inputs, out))
            found[name] = time.monotonic() - started, programs[name].result(out)
        return found[name]

    return once


def until_underway(process, program, out):
    """Wait until a program has written something of its result; it is still at work then, or has just ended."""
    limit = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < limit and not any(out.glob(program.underway)):
        time.sleep(0.02)


def kill(process):
    """A program, and all that it started; True where it had not ended by itself."""
    was_alive = process.poll() is None
    if was_alive:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return was_alive


def test_killed_at_random_moments_the_same_command_gives_the_same_result(
    name, programs, inputs, undisturbed, tmp_path
):
    program, out, rng = programs[name], tmp_path / "out", random.Random(name)
    seconds, expected = undisturbed(name)
    words, was_killed = program.words(inputs, out), True
    for number in range(KILLS if seconds < SLOW_S else 1):
        process = start(words)
        if number == 0 and program.underway:
            until_underway(process, program, out)
            time.sleep(rng.uniform(0, 0.1) * seconds)
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0.2, 1.0) * seconds)
        if not (was_killed := kill(process)):
            break  # it was faster this time
    if was_killed and (program.continues or not out.exists()):
        run(words)
    assert program.result(out) == expected
    assert not list(tmp_path.glob(".*")), "a killed run leaves nothing beside the result"


def test_a_full_disk_is_one_line_and_the_same_command_completes(name, programs, inputs, undisturbed, tmp_path):
    def full():  # a limit on the size of files fails as a full disk does: in write(2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (programs[name].least_bytes,) * 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    words = programs[name].words(inputs, tmp_path / "out")
    is_one_line(run(words, code=2, before=full))
    run(words)
    assert programs[name].result(tmp_path / "out") == undisturbed(name)[1]


@long_only
def test_an_output_that_cannot_be_written_is_one_line(name, programs, inputs, tmp_path):
    (tmp_path / "file").write_text("not a folder")  # root writes in folders of any mode
    assert "file" in is_one_line(run(programs[name].words(inputs, tmp_path / "file" / "out"), code=2))


@long_only
def test_a_second_process_in_one_folder_is_refused(name, programs, inputs, undisturbed, tmp_path):
    words = programs[name].words(inputs, tmp_path / "out")
    processes = [start(words), start(words)]
    ends = [finish(process) for process in processes]
    assert sorted(code for code, _ in ends) in ([0, 2], [0, 0]), ends
    for code, errors in ends:
        if code:
            is_one_line(errors)
    assert programs[name].result(tmp_path / "out") == undisturbed(name)[1]


@long_only
def test_64_files_are_enough_or_one_line(name, programs, inputs, undisturbed, tmp_path):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    out = tmp_path / "out"
    code, errors = finish(start(programs[name].words(inputs, out), before=few))
    if code:
        is_one_line(errors)
        run(programs[name].words(inputs, out))
    assert programs[name].result(out) == undisturbed(name)[1]


def test_a_foreign_machine_changes_nothing(name, programs, inputs, undisturbed, tmp_path):
    """No HOME, locale C, umask 077, no terminal, another working directory, a path with blanks and other alphabets."""
    env = {key: value for key, value in ENVIRONMENT.items() if key not in ("HOME", "LANG", "LC_ALL", "LC_CTYPE")}
    env |= {"LC_ALL": "C", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    place = tmp_path / "für die Vögel 蛙" / "it's here, too"
    place.mkdir(parents=True)
    there = place / "inputs"
    shutil.copytree(inputs, there)
    words = [str(word) for word in programs[name].words(there, place / "out")]
    words = [re.sub(r"it's(?=.*')", r"it\\'s", word) for word in words]  # as Hydra quotes
    run(words, env=env, before=lambda: os.umask(0o077), cwd=tmp_path)
    assert programs[name].result(place / "out") == undisturbed(name)[1]


@long_only
def test_a_reader_that_has_gone_is_no_traceback(name, programs, inputs, tmp_path):
    with start(programs[name].words(inputs, tmp_path / "out")) as process:
        process.stdout.close()
        errors = process.stderr.read().decode(errors="replace")
        assert process.wait(LIMIT_S) in (0, 128 + signal.SIGPIPE), errors[-2000:]
    assert "Traceback" not in errors


@long_only
def test_recordings_that_vanish_during_the_run_are_named(name, programs, inputs, undisturbed, tmp_path):
    """Whoever needs one of them says so; when they are back, the same command ends as if nothing had happened."""
    if name in ("synth", "convert", "tune", "push"):
        pytest.skip("reads no recordings")
    program, out = programs[name], tmp_path / "out"
    seconds, expected = undisturbed(name)
    copy = Path(shutil.copytree(inputs, tmp_path / "inputs"))
    audio = copy / ("manifest/audio" if "manifest" in program.needs else "data/train")
    process = start(program.words(copy, out))
    if program.underway:
        until_underway(process, program, out)
    else:
        time.sleep(0.5 * seconds)
    audio.rename(audio.with_name("away"))
    code, errors = finish(process)
    audio.with_name("away").rename(audio)
    listed = "".join(path.read_text() for table in ("errors.csv", "quarantine.csv") for path in out.rglob(table))
    if code == 2:
        assert str(audio) in is_one_line(errors)
    elif code == 3 or str(audio) in listed:
        assert "rec5" in listed
    else:
        assert code == 0, errors[-2000:]
    if code or str(audio) in listed:
        run(program.words(copy, out))
    assert program.result(out) == expected


@long_only
def test_a_clock_that_is_set_back_changes_nothing(name, programs, inputs, undisturbed, tmp_path):
    """The first run, which is killed, believes that it is a year later; so do its files."""
    program, out = programs[name], tmp_path / "out"
    if program.underway is None:
        pytest.skip("does not go on in the middle")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "sitecustomize.py").write_text(LATER)
    words, seconds = program.words(inputs, out), 365 * 86_400
    path = os.pathsep.join([str(tmp_path / "later"), str(ROOT)])
    process = start(words, env={**ENVIRONMENT, "PYTHONPATH": path})
    until_underway(process, program, out)
    assert kill(process), "it has ended before it could be killed"
    for file in out.rglob("*"):
        written = file.stat().st_mtime
        os.utime(file, (written + seconds,) * 2)
    run(words)
    assert program.result(out) == undisturbed(name)[1]
