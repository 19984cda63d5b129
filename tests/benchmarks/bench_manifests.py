"""Manifest building against a bare loop and librosa, by CPU time; two workers; memory; seek reads. Prints JSON lines.

Usage: python tests/benchmarks/bench_manifests.py [RECORDINGS] [HEADERS] [HOURS]

RECORDINGS 60 s files at 48 kHz (300), HEADERS files to scan (100000), HOURS of one long FLAC (4). Every way is first
shown to give the same audio. CPU seconds hardly depend on what else the machine does; wall-clock figures do: read the
ratios, not the times.
"""

import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from rfcx_ssl.audio import read_audio
from rfcx_ssl.manifest.build import Build, build_manifest
from rfcx_ssl.manifest.roots import parse_roots
from rfcx_ssl.manifest.settings import ManifestSettings
from rfcx_ssl.workers import open_workers, this_process

SOURCE_HZ, TARGET_HZ = 48_000, 32_000
ROUNDS = 2
ROOT = Path(__file__).parents[2]


def pink_minute(rng):
    """60 s that compress like the field recordings do (about 0.6 of 16-bit)."""
    spectrum = np.fft.rfft(rng.normal(size=60 * SOURCE_HZ))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20))
    signal = np.fft.irfft(spectrum)
    return (signal / np.abs(signal).max() * 0.5).astype(np.float32)


def write_recordings(folder, count):
    folder.mkdir()
    for number in range(count):
        minute = pink_minute(np.random.default_rng(number))
        soundfile.write(folder / f"{number:04d}.flac", minute, SOURCE_HZ, subtype="PCM_16")


def build_serial(folder, out):
    run_build(folder, out, this_process())


def build_two(folder, out):
    with open_workers(2) as workers:
        run_build(folder, out, workers)


def run_build(folder, out, workers):
    roots = parse_roots([str(folder)])
    build_manifest(Build(roots=roots, out=out, settings=ManifestSettings(), workers=workers))


def bare_loop(folder, out):
    decode_and_write(
        folder, out, lambda path: soxr.resample(soundfile.read(path, dtype="float32")[0], SOURCE_HZ, TARGET_HZ)
    )


def bare_loop_twice(folder, out):
    """Two bare loops at a time, each on half: what two workers could reach on this machine."""
    halves = [out.with_name(f"{out.name}-{number}") for number in range(2)]
    for number, half in enumerate(halves):
        half.mkdir()
        for path in sorted(folder.glob("*.flac"))[number::2]:
            (half / path.name).symlink_to(path)
    out.mkdir()
    loops = [multiprocessing.Process(target=bare_loop, args=(half, out / half.name)) for half in halves]
    for loop in loops:
        loop.start()
    for loop in loops:
        loop.join()
        assert loop.exitcode == 0


def librosa_loop(folder, out):
    import librosa  # here, because the workers of the build import this file too

    decode_and_write(folder, out, lambda path: librosa.load(path, sr=TARGET_HZ, res_type="soxr_hq")[0])


def decode_and_write(folder, out, load):
    out.mkdir()
    for path in sorted(folder.glob("*.flac")):
        for index, part in enumerate(np.split(load(path), 4)):
            soundfile.write(out / f"{path.stem}-{index}.flac", part, TARGET_HZ, subtype="PCM_16")


def same_audio(bare, ours):
    """Largest difference in 16-bit steps between all segments, in order."""
    written = sorted((ours / "audio").rglob("*.flac"), key=lambda path: (path.parent.name, path.name))
    plain = sorted(bare.glob("*.flac"))
    assert len(written) == len(plain) > 0
    pairs = (
        (soundfile.read(a, dtype="int16")[0], soundfile.read(b, dtype="int16")[0])
        for a, b in zip(written, plain, strict=True)
    )
    return max(int(np.abs(a.astype(int) - b).max()) for a, b in pairs)


def cpu_s():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def throughput(folder, scratch, recordings):
    ways = {
        "bare loop": bare_loop, "two bare loops": bare_loop_twice, "librosa": librosa_loop,
        "ours": build_serial, "ours, 2 workers": build_two,
    }  # fmt: skip
    times = {name: [] for name in ways}
    numbers = itertools.count()
    for _ in range(ROUNDS):
        for name, way in ways.items():
            out = scratch / f"{next(numbers)}"
            wall, cpu = time.perf_counter(), cpu_s()
            way(folder, out)
            times[name].append((cpu_s() - cpu, time.perf_counter() - wall))
            (scratch / name).unlink(missing_ok=True)
            (scratch / name).symlink_to(out)
    steps = same_audio(scratch / "bare loop", scratch / "ours")
    best = {name: np.min(values, axis=0) for name, values in times.items()}
    for name, (cpu, wall) in best.items():
        print(json.dumps({
            "bench": "prepare", "way": name, "recordings": recordings, "cpu_s": round(cpu, 2), "wall_s": round(wall, 2),
            "times_real_time_per_core": round(recordings * 60 / cpu), "load_average": os.getloadavg()[0],
        }))  # fmt: skip
    print(json.dumps({
        "bench": "prepare", "largest_difference_in_16_bit_steps": steps,
        "ours_over_bare_loop_per_core": round(best["bare loop"][0] / best["ours"][0], 3),
        "ours_over_librosa_per_core": round(best["librosa"][0] / best["ours"][0], 3),
        "two_workers_over_one_wall": round(best["ours"][1] / best["ours, 2 workers"][1], 3),
        "two_bare_loops_over_one_wall": round(best["bare loop"][1] / best["two bare loops"][1], 3),
        "two_workers_over_one_cpu": round(best["ours"][0] / best["ours, 2 workers"][0], 3),
    }))  # fmt: skip


def seek_reads(path):
    """CPU ms of one 10 s crop: the whole file (stock fairseq, native rate) against a seek read."""
    rng = np.random.default_rng(0)
    starts = rng.integers(0, 50 * TARGET_HZ, 40)
    whole = soxr.resample(soundfile.read(path, dtype="float32")[0], SOURCE_HZ, TARGET_HZ)
    crop = read_audio(path, start_samples=int(starts[0]), num_samples=10 * TARGET_HZ, sample_rate_hz=TARGET_HZ)
    np.testing.assert_allclose(crop, whole[starts[0] :][: 10 * TARGET_HZ], atol=1e-5)
    ways = {
        "whole file, no resampling": lambda start: soundfile.read(path, dtype="float32")[0][start:][: 10 * SOURCE_HZ],
        "whole file, resampled": lambda start: soxr.resample(
            soundfile.read(path, dtype="float32")[0], SOURCE_HZ, TARGET_HZ
        ),
        "seek read, no resampling": lambda start: read_audio(path, start_samples=start, num_samples=10 * SOURCE_HZ),
        "seek read, resampled": lambda start: read_audio(
            path, start_samples=start, num_samples=10 * TARGET_HZ, sample_rate_hz=TARGET_HZ
        ),
    }
    for name, way in ways.items():
        begin = time.process_time()
        for start in starts:
            way(int(start))
        print(
            json.dumps(
                {"bench": "crop", "way": name, "cpu_ms": round((time.process_time() - begin) * 1e3 / len(starts), 2)}
            )
        )


def peak_mb(folder, out, *options):
    """Largest resident size and CPU seconds of one build in its own process."""
    code = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__'); "
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]; "
        "u = resource.getrusage(resource.RUSAGE_SELF); print(int(peak) / 1024, u.ru_utime + u.ru_stime)"
    )
    arguments = ["manifests/build.py", str(folder), "--out", str(out), "--workers", "1", *options]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [round(float(number), 1) for number in done.stdout.splitlines()[-1].split()]


def memory(scratch, hours, headers):
    minute = pink_minute(np.random.default_rng(0))
    for minutes in (1, 60 * hours):
        folder = scratch / f"long{minutes}"
        folder.mkdir()
        with soundfile.SoundFile(folder / "a.flac", "w", SOURCE_HZ, 1, subtype="PCM_16") as file:
            for number in range(minutes):
                file.write(np.roll(minute, 1_000 * number))
        size, cpu = peak_mb(folder, scratch / f"out{minutes}")
        print(json.dumps({"bench": "memory", "recording_minutes": minutes, "peak_mb": size, "cpu_s": cpu}))
    for count in (headers // 10, headers):
        folder = scratch / f"many{count}"
        for number in range(count):
            path = folder / f"{number // 1000:04d}" / f"S{number % 50}_20210301_{number % 240000:06d}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros(8, dtype=np.int16), 8_000)
        size, cpu = peak_mb(folder, scratch / f"out-many{count}", "--virtual", "--set", "check=headers")
        print(json.dumps({"bench": "headers", "files": count, "peak_mb": size, "cpu_s": cpu}))


def main():
    numbers = [int(argument) for argument in sys.argv[1:]]
    recordings, headers, hours = (*numbers, *(300, 100_000, 4)[len(numbers) :])
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        write_recordings(scratch / "audio", recordings)
        throughput(scratch / "audio", scratch, recordings)
        seek_reads(scratch / "audio/0000.flac")
        memory(scratch, hours, headers)


if __name__ == "__main__":  # workers are spawned and import this file
    main()
