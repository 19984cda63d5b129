"""``rfcx-ssl detect`` against the loop that people write with librosa; the model's share of the time; two workers.

Usage: python tests/benchmarks/bench_detect.py [--minutes N] [--rounds N] [--only speed|workers]

CNN10 in its default size with random weights, one thread, 48 kHz FLACs. The loop hears 10 s windows, each half
overlapping the next, short files padded with zeros: one forward pass per window, or for eight windows. First, scores
of the same windows must be equal, and those of one long window equal to them wherever no window ends nearby. Then the ways
are timed in turns: wall-clock and CPU seconds of hearing, without loading the model. Ratios of wall-clock seconds
mean something on an idle machine only; every row tells the load. Prints JSON lines.
"""

import argparse
import contextlib
import functools
import io
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

# torch, librosa and what loads them come late: reader processes import this file, too
SOURCE_HZ, RATE_HZ = 48_000, 32_000
WINDOW_S, BATCH = 10.0, 8
OVERLAP = 0.496  # windows start every 63 frames, 5.04 s; 5 s are 62.5 frames, and the windows are to be the same
SAME_WINDOWS = (f"window_s={WINDOW_S:g}", f"overlap={OVERLAP}", "aggregate=max")
LONG_WINDOWS = ("window_s=60", "overlap=0")
EDGE_S = 0.6  # CNN10 hears 0.46 s to each side of a frame
TOLERANCE = 2e-3  # frames are kept as float16: steps of 5e-4 below 1, and loading differs below -100 dB
FILES_S = {"60 s": 60, "5 s": 5}


class Spent(NamedTuple):
    """Seconds of one way to hear a folder."""

    wall_s: float
    cpu_s: float  # of this process and the readers that it started
    model_s: float = 0.0  # of the wall-clock seconds, inside the network


def show(**row: object) -> None:
    """Print one row."""
    print(json.dumps({**row, "load": round(os.getloadavg()[0], 1)}), flush=True)


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def write_recordings(folder: Path, duration_s: int, minutes: float) -> list[Path]:
    """Noise with sweeps in it, so that scores move."""
    import soundfile

    folder.mkdir()
    times_s = np.arange(duration_s * SOURCE_HZ) / SOURCE_HZ
    for number in range(round(60 * minutes / duration_s)):
        rng = np.random.default_rng(number)
        sweep = np.sin(2 * np.pi * (800 + 300 * np.sin(times_s * rng.uniform(0.5, 3))) * rng.uniform(1, 5) * times_s)
        sound = 0.05 * rng.normal(size=len(times_s)) + 0.2 * sweep * (np.sin(times_s * rng.uniform(0.2, 2)) > 0)
        soundfile.write(folder / f"{number:04d}.flac", sound, SOURCE_HZ, subtype="PCM_16")
    return sorted(folder.glob("*.flac"))


def save_cnn10(folder: Path) -> Path:
    """CNN10 as configured, with a classifier whose answers to noise are spread."""
    import torch

    from rfcx_ssl.config import load_settings
    from rfcx_ssl.models.build import build_model
    from rfcx_ssl.models.settings import ModelSettings
    from rfcx_ssl.species import label_space, rfcx_species

    torch.manual_seed(0)
    settings = load_settings(ModelSettings, "finetune/model", "panns_cnn10", [f"window_s={WINDOW_S}"])
    model = build_model(settings, label_space(rfcx_species())).eval()
    with torch.inference_mode():
        logits = model(0.1 * torch.randn(4, round(WINDOW_S * RATE_HZ))).frame_logits
        classify = model.head.classify
        classify.weight *= 2 / logits.std(dim=(0, 1)).mean()
        classify.bias.zero_()
        classify.bias -= model(0.1 * torch.randn(4, round(WINDOW_S * RATE_HZ))).frame_logits.mean(dim=(0, 1))
    model.save_pretrained(folder)
    return folder


def detect(card: Path, model: Path, out: Path, windows: tuple[str, ...], *more: str) -> None:
    """The command in this process."""
    from rfcx_ssl.cli import main

    sets = [part for text in windows for part in ("--set", text)]
    with contextlib.redirect_stderr(io.StringIO()):
        main(["detect", str(card), "--model", str(model), "--out", str(out), "--threads", "1", *sets, *more])


def in_own_process(run: Callable[[], Spent]) -> Spent:
    """Nothing that one way does to a process helps or hinders another."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run).result()


def timed_detect(card: Path, model_dir: Path, windows: tuple[str, ...]) -> Spent:
    """Seconds of hearing, and of the network in it."""
    from unittest import mock

    from rfcx_ssl.detection.work import Hearer
    from rfcx_ssl.inference.scorer import TorchScorer

    hear, score = Hearer.hear_all, TorchScorer.__call__
    spent: dict[str, float] = defaultdict(float)

    def timed(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any) -> Any:
            wall, cpu = time.perf_counter(), cpu_s()
            answer = function(*args)
            spent[name] += time.perf_counter() - wall
            spent[f"{name} cpu"] += cpu_s() - cpu
            return answer

        return run

    with (
        mock.patch.object(Hearer, "hear_all", timed(hear, "hear")),
        mock.patch.object(TorchScorer, "__call__", timed(score, "model")),
    ):
        with tempfile.TemporaryDirectory() as out:
            detect(card, model_dir, Path(out), windows)
    return Spent(spent["hear"], spent["hear cpu"], spent["model"])


def windows_of(paths: list[Path], hop: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """File, first sample and samples of every window, by librosa."""
    import librosa

    window, step = round(WINDOW_S * RATE_HZ), round(WINDOW_S * RATE_HZ * (1 - OVERLAP)) // hop * hop
    for number, path in enumerate(paths):
        waveform, _ = librosa.load(path, sr=RATE_HZ)
        last = max(len(waveform) - window, 0)
        waveform = np.pad(waveform, (0, max(window - len(waveform), 0)))
        for start in [*range(0, last, step), last]:
            yield number, start, waveform[start : start + window]


def loop(model: Any, paths: list[Path], batch: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """What people write: scores (W, S) of all windows, and of each file frames (T, S) merged by maximum."""
    import torch

    from rfcx_ssl.batching import batched

    hop, clips, frames = model.grid.hop_samples, [], dict[int, np.ndarray]()
    for some in batched(windows_of(paths, hop), batch):
        with torch.no_grad():
            output = model(torch.from_numpy(np.stack([samples for _, _, samples in some])))
        clips.append(output.clip_logits.sigmoid().numpy())
        for (number, start, _), scores in zip(some, output.frame_logits.sigmoid().numpy(), strict=True):
            before = frames.get(number, np.zeros((0, scores.shape[1]), np.float32))
            first, stop = start // hop, start // hop + len(scores)
            merged = np.pad(before, ((0, stop - len(before)), (0, 0)))
            merged[first:] = np.maximum(merged[first:], scores)
            frames[number] = merged
    return np.concatenate(clips), frames


def timed_loop(model_dir: Path, paths: list[Path], batch: int) -> Spent:
    """Seconds of the loop."""
    import librosa
    import torch

    from rfcx_ssl.inference.load import load_model

    torch.set_num_threads(1)
    model = load_model(str(model_dir))
    librosa.load(paths[0], sr=RATE_HZ)  # imports
    wall, cpu = time.perf_counter(), cpu_s()
    loop(model, paths, batch)
    return Spent(time.perf_counter() - wall, cpu_s() - cpu)


def prove_equal(model: Any, model_dir: Path, card: Path, scratch: Path) -> dict[str, object]:
    """The loop and the command on the first files of ``card``: the largest differences; ends the program if they are large."""
    import pyarrow.parquet as pq

    from rfcx_ssl.detection.writers.frames import read_frames

    paths = sorted(card.glob("*.flac"))[:2]
    some = scratch / f"some {card.name}"
    some.mkdir()
    for path in paths:
        (some / path.name).symlink_to(path)
    clips, frames = loop(model, paths, 1)
    saves = ("--save", "windows", "--save", "frames", "--format", "parquet")
    found = {}
    for name, windows in (("same", SAME_WINDOWS), ("long", LONG_WINDOWS)):
        out = scratch / f"{name} {card.name}"
        detect(some, model_dir, out, windows, *saves)
        found[name] = [row.scores.astype(np.float32) for row in read_frames(out / "frames.parquet")]
    hop_s, edges_s = model.grid.frame_s, edges_of(model, paths)
    inside = far_from(edges_s, len(found["long"][0]), hop_s)
    differences = {
        name: max(float(np.abs(frames[number][: len(own)] - own)[inside].max()) for number, own in enumerate(of_files))
        for name, of_files in found.items()
    }
    row: dict[str, object] = {
        "bench": "equal scores", "files": card.name, "spread": round(float(frames[0][: len(inside)][inside].std()), 3),
        "frames_far_from_edges": f"{inside.mean():.0%}", "difference_long_windows": differences["long"],
    }  # fmt: skip
    if len(clips) > len(paths):  # short files are padded by the loop, and not by the command
        table = pq.read_table(scratch / f"same {card.name}" / "windows.parquet").to_pandas()
        row["difference_windows"] = float(np.abs(table.iloc[:, 3:].to_numpy() - clips).max())
        whole = [np.abs(frames[number] - own).max() for number, own in enumerate(found["same"])]
        row["difference_frames"] = float(max(whole))
    wrong = [name for name, value in row.items() if name.startswith("difference") and float(str(value)) > TOLERANCE]
    if wrong:
        raise SystemExit(f"{wrong} above {TOLERANCE}: nothing to compare: {row}")
    return row


def edges_of(model: Any, paths: list[Path]) -> list[float]:
    """Seconds at which a window of the loop starts or ends, or the file does."""
    import soundfile

    starts_s = [start / RATE_HZ for number, start, _ in windows_of(paths, model.grid.hop_samples) if number == 0]
    return [*starts_s, *(start_s + WINDOW_S for start_s in starts_s), soundfile.info(paths[0]).duration]


def far_from(edges_s: Iterable[float], num_frames: int, frame_s: float) -> np.ndarray:
    """Whether frames (T,) are far from all edges but the start of the file, which all ways share."""
    centers_s = (np.arange(num_frames) + 0.5) * frame_s
    return np.all([np.abs(centers_s - edge_s) > EDGE_S for edge_s in edges_s if edge_s], axis=0)


def speed(model: Any, model_dir: Path, scratch: Path, minutes: float, rounds: int) -> None:
    """All ways in turns, on long and on short files."""
    for name, duration_s in FILES_S.items():
        card = scratch / name
        paths = write_recordings(card, duration_s, minutes)
        show(**prove_equal(model, model_dir, card, scratch))
        ways: dict[str, Callable[[], Spent]] = {
            "loop, a window": functools.partial(timed_loop, model_dir, paths, 1),
            f"loop, {BATCH} windows": functools.partial(timed_loop, model_dir, paths, BATCH),
            "detect, same windows": functools.partial(timed_detect, card, model_dir, SAME_WINDOWS),
        }
        if duration_s > WINDOW_S:
            ways["detect, whole minutes"] = functools.partial(timed_detect, card, model_dir, LONG_WINDOWS)
        turns = [{way: in_own_process(run) for way, run in ways.items()} for _ in range(rounds)]
        for way in ways:
            show(bench="speed", files=name, way=way, **summary(way, turns, minutes))


def summary(way: str, turns: list[dict[str, Spent]], minutes: float) -> dict[str, object]:
    """Medians of one way, and how many times as fast it is as the faster of the two loops, and as the plain one."""
    loops = [name for name in turns[0] if name.startswith("loop")]
    row: dict[str, object] = {
        "wall_s": round(statistics.median(turn[way].wall_s for turn in turns), 2),
        "cpu_s": round(statistics.median(turn[way].cpu_s for turn in turns), 2),
        "times_real_time": round(statistics.median(60 * minutes / turn[way].wall_s for turn in turns), 1),
    }
    if way not in loops:
        for name in loops:
            for of in ("wall", "cpu"):
                gains = [getattr(turn[name], f"{of}_s") / getattr(turn[way], f"{of}_s") for turn in turns]
                row[f"{of}_gain_over_{name}"] = round(statistics.median(gains), 2)
        row["model_share"] = round(statistics.median(turn[way].model_s / turn[way].wall_s for turn in turns), 3)
    return row


def model_only(model_dir: str, seconds: float) -> float:
    """Windows per second of a network and nothing else, for ``seconds``."""
    import torch

    from rfcx_ssl.inference.open import open_scorer

    torch.set_num_threads(1)
    scorer, windows = open_scorer(model_dir, device="cpu"), 0.1 * torch.randn(1, round(WINDOW_S * RATE_HZ))
    scorer(windows)
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        scorer(windows)
        count += 1
    return count / passed


def workers(model_dir: Path, scratch: Path, minutes: float, rounds: int) -> None:
    """Two workers against one, and two networks side by side against one: what this machine can give."""
    card = scratch / "workers"
    write_recordings(card, 5, minutes)
    context = multiprocessing.get_context("spawn")
    for number in range(rounds):
        with context.Pool(2) as pool:
            alone = pool.apply(model_only, (str(model_dir), 10.0))
            both = sum(pool.starmap(model_only, [(str(model_dir), 10.0)] * 2))
        spent = {}
        for count in (1, 2):
            wall, cpu = time.perf_counter(), cpu_s()
            detect(card, model_dir, scratch / f"workers {number} {count}", SAME_WINDOWS, "--workers", str(count))
            spent[count] = Spent(time.perf_counter() - wall, cpu_s() - cpu)
        same = [(scratch / f"workers {number} {count}" / "scores.csv").read_bytes() for count in (1, 2)]
        if same[0] != same[1]:
            raise SystemExit("two workers write other scores than one: nothing to compare")
        show(
            bench="workers", one_wall_s=round(spent[1].wall_s, 1), two_wall_s=round(spent[2].wall_s, 1),
            gain=round(spent[1].wall_s / spent[2].wall_s, 2), cpu_ratio=round(spent[2].cpu_s / spent[1].cpu_s, 2),
            two_bare_networks_gain=round(both / alone, 2),
        )  # fmt: skip


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6, help="of audio for each way (default 6)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "workers"))
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch
    from transformers.utils.logging import disable_progress_bar

    from rfcx_ssl.inference.load import load_model

    disable_progress_bar()
    torch.set_num_threads(1)
    show(torch=torch.__version__, cores=os.cpu_count())
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        model_dir = save_cnn10(scratch / "model")
        if args.only != "workers":
            speed(load_model(str(model_dir)), model_dir, scratch, args.minutes, args.rounds)
        if args.only != "speed":
            workers(model_dir, scratch, args.minutes, args.rounds)


if __name__ == "__main__":
    main()
