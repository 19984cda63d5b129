"""Reading ahead changes nothing, stays bounded, and survives a reader that dies."""

import os
from concurrent.futures import Executor, Future

import numpy as np
import pytest
import soundfile

from rfcx_ssl.audio import read_audio
from rfcx_ssl.detection import read_ahead
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.read_ahead import ReadAhead, open_readers
from rfcx_ssl.workers import ProcessExecutor

RATE_HZ = 8_000


def write(path, seconds, rate_hz=RATE_HZ):
    rng = np.random.default_rng(len(path.stem))
    soundfile.write(path, rng.normal(0, 0.1, round(seconds * rate_hz)).astype(np.float32), rate_hz, subtype="FLOAT")
    return path


def stretch(path, start_s=0.0, end_s=None, rates=(RATE_HZ,)):
    return Stretch(str(path), start_s, end_s, rates, 1.0)


def hear(readers, stretches):
    """Name, samples at each rate, problem of every stretch."""
    found = []
    for place, opened in readers.open_all(enumerate(stretches)):
        blocks = list(opened.blocks())
        rates = opened.stretch.rates_hz
        joined = {rate: np.concatenate([block[rate] for block in blocks] or [np.zeros(0)]) for rate in rates}
        found.append((place, joined, opened))
    return found


@pytest.mark.parametrize("readers", [0, 2])
def test_all_samples_come_in_order_at_every_rate(tmp_path, readers):
    paths = [write(tmp_path / f"{'x' * (n + 1)}.wav", seconds) for n, seconds in enumerate([0.3, 5.5, 1.0, 2.25])]
    rates = (RATE_HZ, 6_000)
    with open_readers(readers) as ahead:
        heard = hear(ahead, [stretch(path, rates=rates) for path in paths])
    assert [place for place, _, _ in heard] == [0, 1, 2, 3]
    for path, (_, samples, opened) in zip(paths, heard, strict=True):
        assert opened.problem is None and opened.header.sample_rate_hz == RATE_HZ
        for rate in rates:
            np.testing.assert_allclose(samples[rate], read_audio(path, sample_rate_hz=rate), atol=2e-5)
        assert opened.header.num_samples == tuple(len(samples[rate]) for rate in rates)


def test_a_part_of_a_file_is_that_slice(tmp_path):
    path = write(tmp_path / "a.wav", 4.0)
    with open_readers(0) as ahead:
        ((_, samples, opened),) = hear(ahead, [stretch(path, 1.25, 3.5)])
        ((_, nothing, beyond),) = hear(ahead, [stretch(path, 9.0)])
    np.testing.assert_array_equal(samples[RATE_HZ], read_audio(path)[10_000:28_000])
    assert opened.problem is None
    assert not len(nothing[RATE_HZ]) and "nothing to hear from 9 s on, the file has 4.000 s" in beyond.problem


def test_what_cannot_be_read_says_so_and_the_rest_goes_on(tmp_path):
    good = write(tmp_path / "good.wav", 1.0)
    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"nothing of the kind")
    cut = tmp_path / "cut.flac"
    whole = write(tmp_path / "whole.wav", 6.0)
    soundfile.write(cut, read_audio(whole), RATE_HZ)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    with open_readers(0) as ahead:
        heard = hear(ahead, [stretch(path) for path in (tmp_path / "gone.wav", junk, cut, good)])
    gone, bad, part, fine = (opened for _, _, opened in heard)
    assert gone.header.unreachable and "gone.wav: No such file" in gone.problem
    assert not bad.header.unreachable and "junk.wav: cannot be read as audio" in bad.problem
    seconds = len(heard[2][1][RATE_HZ]) / RATE_HZ
    assert part.problem is not None and 2 <= seconds < 6 and seconds == int(seconds)
    np.testing.assert_allclose(heard[2][1][RATE_HZ], read_audio(whole)[: int(seconds * RATE_HZ)], atol=2**-15)
    assert fine.problem is None and len(heard[3][1][RATE_HZ]) == RATE_HZ


class Lazy(Executor):
    """Runs a call when its result is asked for; counts how many wait."""

    def __init__(self):
        self.waiting = self.most = 0

    def submit(self, fn, /, *args, **kwargs):
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        executor = self

        class OnDemand(Future):
            def result(self, timeout=None):
                executor.waiting -= 1
                return fn(*args, **kwargs)

        return OnDemand()


def test_no_more_is_read_than_will_soon_be_needed(tmp_path):
    many = [write(tmp_path / "short.wav", 0.2)] * 50
    long = write(tmp_path / "long.wav", 40.0)
    lazy = Lazy()
    heard = hear(ReadAhead(lazy, 2), [stretch(path) for path in (*many, long, *many)])
    assert len(heard) == 101 and len(heard[50][1][RATE_HZ]) == 40 * RATE_HZ
    assert 2 * read_ahead.AHEAD_PER_READER <= lazy.most <= 4 * read_ahead.AHEAD_PER_READER


def test_a_reader_that_dies_costs_its_own_recording_only(tmp_path, monkeypatch):
    paths = [write(tmp_path / f"{name}.wav", 1.0) for name in ("a", "deadly", "b", "c")]
    submit = ProcessExecutor.submit

    def crash_on_deadly(self, call, *args):
        deadly = getattr(call, "args", None) and "deadly" in call.args[0].path
        return submit(self, os.abort) if deadly else submit(self, call, *args)

    monkeypatch.setattr(ProcessExecutor, "submit", crash_on_deadly)
    with open_readers(2) as ahead:
        heard = hear(ahead, [stretch(path) for path in paths])
    problems = [opened.problem for _, _, opened in heard]
    assert problems[0] is problems[2] is problems[3] is None
    assert "deadly.wav: the process that read it died" in problems[1]
    assert [len(samples[RATE_HZ]) for _, samples, _ in heard] == [RATE_HZ, 0, RATE_HZ, RATE_HZ]
