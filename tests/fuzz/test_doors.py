"""Hostile files at every door: only RfcxError comes out, within seconds, in little memory.

A child process opens mutation after mutation, so that even a crash of a library is a finding. ``RFCX_FUZZ=600`` makes all
doors share 600 s of CPU in place of a few; ``RFCX_FUZZ_SEED`` draws other mutations. A finding lies in ``RFCX_FUZZ_KEEP``.
"""

import logging
import os
import re
import resource
import shutil
import signal
import time
import traceback
import warnings
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.errors import RfcxError

SECONDS = float(os.environ.get("RFCX_FUZZ", 0))
SEED = int(os.environ.get("RFCX_FUZZ_SEED", 0))
FEW, FEW_SLOW = 10, 2  # mutations per door in the ordinary run
MOST_S = 10  # of CPU for one input
MOST_BYTES = 1 << 30  # of address space beyond what the process has
TOKENS = (
    b"nan", b"inf", b"-inf", b"1e308", b"-1", b"0", b"9" * 5000, b"1e999", b"2147483648", b"18446744073709551616", b"0x10",
    b"", b" ", b"\t", b"\n", b"\r", b'"', b"'", b",", b";", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"..", b"../../x",
    b"/etc/passwd", b"=1+1", b"null", b"true", b"[]", b"{}", b"[[[[", b"{" * 2000, b"[" * 100000, b"&a", b"*a", b"!!python/object/apply:os.system",
    b"${oc.env:HOME}", "\U0001f438".encode(), "\u202e".encode(), "٣".encode(), b"\xed\xa0\x80", b"a" * 70000, b"9999-12-31T23:59:59",
)  # fmt: skip
EXTREMES = (
    0,
    1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0xFFFF,
    10**9,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    2**63 - 1,
    2**63,
    2**64 - 1,
)


class TooSlowError(BaseException):
    """Not an Exception: no door may catch it."""


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to four changes: bits, bytes, numbers in binary, words, parts."""
    for _ in range(rng.integers(1, 5)):
        data = CHANGES[rng.integers(len(CHANGES))](data, rng)
    return data


def _place(data, rng):
    near = rng.random() < 0.5  # headers are where the harm is
    return int(rng.integers(0, min(len(data), 200) + 1 if near else len(data) + 1))


def _flip(data, rng):
    place = _place(data, rng)
    return data[:place] + bytes(b ^ (1 << int(rng.integers(8))) for b in data[place : place + 1]) + data[place + 1 :]


def _number(data, rng):
    place, size = _place(data, rng), int(rng.choice([1, 2, 4, 8]))
    value = EXTREMES[rng.integers(len(EXTREMES))] % 256**size
    return data[:place] + value.to_bytes(size, "little" if rng.random() < 0.5 else "big") + data[place + size :]


def _word(data, rng):
    """A word of the text becomes another."""
    words = list(re.finditer(rb"[\w.+-]+", data[: 1 << 16]))
    if not words:
        return data
    found = words[rng.integers(len(words))]
    return data[: found.start()] + TOKENS[rng.integers(len(TOKENS))] + data[found.end() :]


def _insert(data, rng):
    place = _place(data, rng)
    return data[:place] + TOKENS[rng.integers(len(TOKENS))] + data[place:]


def _cut(data, rng):
    first, last = sorted((_place(data, rng), _place(data, rng)))
    return data[:first] + data[last:] if rng.random() < 0.5 else data[:last]


def _repeat(data, rng):
    first, last = sorted((_place(data, rng), _place(data, rng)))
    return data[:last] + data[first:last] * int(rng.integers(1, 4)) + data[last:]


CHANGES = (_flip, _number, _word, _word, _insert, _cut, _repeat)


def _hunt(door, data, folder: Path, most: int, seconds: float) -> None:
    """In the child: open mutations until all are done or time is up; the last one is on the disk before it is opened."""
    logging.disable()
    warnings.simplefilter("ignore")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1), os.dup2(devnull, 2)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        size = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES,) * 2)

    def too_slow(*_):
        raise TooSlowError

    signal.signal(signal.SIGPROF, too_slow)
    findings = {}
    rng, started = np.random.default_rng([SEED, *door.name.encode()]), time.process_time()
    number = 0
    while number < most and (not seconds or time.process_time() - started < seconds):
        hostile = data if number == 0 else mutate(data, rng)
        (folder / "input").mkdir()
        (folder / "work").mkdir()
        path = folder / "input" / door.file
        path.write_bytes(hostile)
        signal.setitimer(signal.ITIMER_PROF, MOST_S)
        try:
            door.open(path, folder / "work")
        except RfcxError as error:
            if not number:
                findings["sound"] = f"the sound file is refused: {error}"
        except (Exception, TooSlowError) as error:  # noqa: BLE001 - every kind is a finding
            place = traceback.extract_tb(error.__traceback__)[-1]
            findings.setdefault((type(error), place.filename, place.lineno), traceback.format_exc()[-2000:])
        signal.setitimer(signal.ITIMER_PROF, 0)
        shutil.rmtree(folder / "input")
        shutil.rmtree(folder / "work")
        number += 1
    (folder / "done").write_text(str(number))
    assert not findings, "\n\n".join([f"{len(findings)} kinds of findings", *findings.values()])


def test_only_errors_of_ours_leave_a_door(door, seeds, tmp_path, request):
    doors = sum(item.originalname == request.node.originalname for item in request.session.items)
    most = 10**9 if SECONDS else FEW_SLOW if door.is_slow else FEW
    child = os.fork()
    if not child:
        code = 1
        try:
            _hunt(door, seeds[door.name], tmp_path, most, SECONDS / doors)
            code = 0
        except BaseException as error:  # noqa: BLE001 - whatever it is, the parent says it
            (tmp_path / "finding").write_text(str(error) or traceback.format_exc())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        finding = tmp_path / "finding"
        said = finding.read_text() if finding.exists() else f"the process died of {os.waitstatus_to_exitcode(status)}"
        if keep := os.environ.get("RFCX_FUZZ_KEEP"):
            shutil.copytree(tmp_path, Path(keep) / re.sub(r"\W+", "_", door.name), dirs_exist_ok=True)
        pytest.fail(f"{door.name}: {said[:20000]}")
    if SECONDS:
        print(door.name, (tmp_path / "done").read_text(), "mutations")
