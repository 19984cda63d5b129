"""``rfcx-ssl detect``: memory for long recordings, hundreds of thousands of files, a million results.

Usage: python tests/benchmarks/bench_detect_scale.py [--files N] [--results N] [--only long|files|results]

A small network at 4 kHz, so that hours are cheap. Peak memory is that of the command's process and of the reader that it
started, each at its highest (VmHWM). Prints JSON lines.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np

# torch comes late: reader processes import this file, too
RATE_HZ = 4_000
PER_FOLDER = 1_000
LINKS = 50_000  # to one file; ext4 allows 65,000


def show(**row: object) -> None:
    """Print one row."""
    print(json.dumps({**row, "load": round(os.getloadavg()[0], 1)}), flush=True)


def save_small(folder: Path) -> Path:
    """A CNN of two blocks."""
    import torch

    from rfcx_ssl.models.build import build_model
    from rfcx_ssl.models.panns import MelSettings, PannsSettings
    from rfcx_ssl.species import label_space, rfcx_species

    torch.manual_seed(0)
    mel = MelSettings(n_mels=16, f_max_hz=RATE_HZ / 2)
    settings = PannsSettings(
        sample_rate_hz=RATE_HZ, channels=(4, 8), time_pools=(4, 2), freq_pools=(2, 2), embedding_dim=8, mel=mel, window_s=10
    )  # fmt: skip
    build_model(settings, label_space(rfcx_species())).save_pretrained(folder)
    return folder


def write_noise(path: Path, minutes: int) -> Path:
    """A WAV of so many minutes."""
    import soundfile

    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as file:
        for _ in range(minutes):
            file.write(rng.normal(0, 0.05, 60 * RATE_HZ).astype(np.float32))
    return path


def high_water_mib(pid: int) -> float:
    """The highest memory of a process so far; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def children_of(pid: int) -> list[int]:
    """Processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def run(*command: object) -> tuple[str, float, float]:
    """Standard output of a program of Python, its seconds, and the memory (MiB) of it and its children."""
    peaks: dict[int, float] = {}
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.PIPE, text=True)

    def watch() -> None:
        while process.poll() is None:
            for pid in (process.pid, *children_of(process.pid)):
                peaks[pid] = max(peaks.get(pid, 0.0), high_water_mib(pid))
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = process.communicate()
    watcher.join()
    if process.returncode:
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return output, time.perf_counter() - started, sum(peaks.values())


def long_recordings(model: Path, scratch: Path) -> None:
    """Four hours beside ten minutes."""
    found = {}
    for minutes in (10, 240):
        audio, out = write_noise(scratch / f"{minutes}.wav", minutes), scratch / f"out {minutes}"
        _, seconds, peak_mib = run("-m", "rfcx_ssl", "detect", audio, "--model", model, "--out", out, "--threads", 1)
        found[minutes] = peak_mib
        show(bench="long", minutes=minutes, seconds=round(seconds, 1), peak_mib=round(peak_mib))
    show(bench="long", difference_mib=round(found[240] - found[10]))


def many_files(model: Path, scratch: Path, count: int) -> None:
    """Seconds until the first window is heard, in a process that ends there."""
    card = scratch / "card"
    for number in range(count):
        folder, original = card / f"{number // PER_FOLDER:04d}", scratch / f"original {number // LINKS}.wav"
        if number % LINKS == 0:
            write_noise(original, 1)
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06d}.wav").hardlink_to(original)
    output, seconds, peak_mib = run(__file__, "--first-window", card, model, scratch / "many")
    show(
        bench="files", files=count, first_window_s=round(float(output), 1), with_imports_s=round(seconds, 1), peak_mib=round(peak_mib)
    )  # fmt: skip


def first_window(card: str, model: str, out: str) -> None:
    """Run the command until a window reaches the network; print after how many seconds that was."""
    from rfcx_ssl.cli import main
    from rfcx_ssl.inference.scorer import TorchScorer

    started = time.perf_counter()

    def end(*_: object) -> None:
        print(time.perf_counter() - started, flush=True)
        time.sleep(0.2)  # memory is looked at once more
        os._exit(0)

    TorchScorer.__call__ = end  # type: ignore[assignment,method-assign]
    main(["detect", card, "--model", model, "--out", out, "--threads", "1"])


def many_results(scratch: Path, count: int) -> None:
    """Tables and the summary of a tenth of the results, and of all."""
    found = {}
    for results in (count // 10, count):
        _, seconds, peak_mib = run(__file__, "--assemble", results, scratch / f"assembled {results}")
        found[results] = peak_mib
        show(bench="results", results=results, seconds=round(seconds, 1), peak_mib=round(peak_mib))
    show(bench="results", difference_mib=round(found[count] - found[count // 10]))


def assemble(results: int, out: Path) -> None:
    """Tables of parts that are all the same one: 64 recordings of two events each."""
    from rfcx_ssl.decoding.detections import make_detection
    from rfcx_ssl.detection.assemble import ModelFacts, Tables
    from rfcx_ssl.detection.journal import PART_RECORDINGS, Part
    from rfcx_ssl.detection.open_journal import open_journal
    from rfcx_ssl.detection.result import Result
    from rfcx_ssl.detection.rows import write_rows
    from rfcx_ssl.report.detections import write_summary
    from rfcx_ssl.species import rfcx_species

    species = rfcx_species()
    rows = [
        Result(
            index=number, recording=f"site/S_20260301_{number:02d}0000", path=f"/card/site/{number}.flac", start_s=0.0,
            heard_s=60.0, sample_rate_hz=48_000, recorded_at=f"2026-03-01T{number % 24:02d}:00:00", problem=None, warnings=(),
            clip=np.linspace(0, 1, len(species), dtype=np.float32),
            events=[make_detection("x", species, number % 24, 0.7, 1.0 + part, 1.5 + part) for part in range(2)],
        )
        for number in range(PART_RECORDINGS)
    ]  # fmt: skip
    count = PART_RECORDINGS
    parts = [Part(number, number * count, count) for number in range(results // count)]
    with open_journal(out, lambda _: None, lambda _: None) as journal:
        original = out / "original.parquet"
        write_rows(rows, original)
        for part in parts:
            (journal.parts_folder / f"{part.number:06d}.parquet").symlink_to(original)
        tables = Tables(("csv",))
        tally = tables.write(journal.results(parts, species), out, ModelFacts(species, 32_000, 0.08, 10.0))
    record = {"recordings": tally.recordings, "settings": {}, "decisions": [], "models": [], "warnings": []}
    (out / "detect.json").write_text(json.dumps(record), encoding="utf-8")
    write_summary(out)


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--results", type=int, default=1_000_000)
    parser.add_argument("--only", choices=("long", "files", "results"))
    parser.add_argument("--first-window", nargs=3, metavar=("CARD", "MODEL", "OUT"), help="what a child does")
    parser.add_argument("--assemble", nargs=2, metavar=("RESULTS", "OUT"), help="what a child does")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.first_window:
        return first_window(*args.first_window)
    if args.assemble:
        return assemble(int(args.assemble[0]), Path(args.assemble[1]))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        model = save_small(scratch / "model")
        if args.only in (None, "long"):
            long_recordings(model, scratch)
        if args.only in (None, "files"):
            many_files(model, scratch, args.files)
        if args.only in (None, "results"):
            many_results(scratch, args.results)


if __name__ == "__main__":
    main()
