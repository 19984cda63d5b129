"""Vectors of recordings: one per window, or one per event, written as they come."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

import rfcx_ssl
from rfcx_ssl.audio import audio_info, read_audio, resampled_samples
from rfcx_ssl.batching import batched
from rfcx_ssl.detection.assemble import Tally
from rfcx_ssl.detection.detect import MOST_WARNINGS, require_whole, speed_text
from rfcx_ssl.detection.event_list import EventList
from rfcx_ssl.detection.fetch import local_copy
from rfcx_ssl.detection.full_disk import may_be_full
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.read_ahead import open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import Result, unheard
from rfcx_ssl.detection.sources import iter_recordings
from rfcx_ssl.detection.writers.base import Writer
from rfcx_ssl.detection.writers.embeddings import EmbeddingNpz, EmbeddingParquet
from rfcx_ssl.detection.writers.hoplite import HopliteDatabase
from rfcx_ssl.detection.writers.tables import ErrorCsv
from rfcx_ssl.errors import AudioError, ConfigError
from rfcx_ssl.files import atomic_folder, write_text
from rfcx_ssl.frames import seconds_to_samples
from rfcx_ssl.inference.batches import ScoreError
from rfcx_ssl.inference.cut import Cutter
from rfcx_ssl.inference.embedder import Embedder, Heard, sums_of_frames
from rfcx_ssl.inference.load import is_finite
from rfcx_ssl.inference.signal import sounding_frames
from rfcx_ssl.progress import say

BLOCK_S = 30.0  # of audio that are decoded at once
NO_VECTOR = "has stretches without any signal: they have no vector"


@dataclass(frozen=True)
class EmbedRequest:
    """What to hear, and what to write."""

    sources: Sequence[str]
    model: str  # what the user called it
    out: Path
    formats: Sequence[str] = ("parquet",)
    events: Path | None = None  # a table of events to embed instead of windows
    batch_size: int = 8


def embed(request: EmbedRequest, embedder: Embedder, console: Console) -> dict[str, Any]:
    """Write the vectors of every recording of ``request`` into its new folder; returns embed.json.

    Raises:
        IncompleteError: after all is written, if a recording could not be heard to its end (exit code 3).
        RfcxError: there is nothing to hear, or the table of events is of other recordings.
    """
    if request.out.exists():
        raise ConfigError(f"--out {request.out} exists; choose a new folder")
    started = time.perf_counter()
    with may_be_full(request.out, "nothing was written"):
        request.out.parent.mkdir(parents=True, exist_ok=True)
        with atomic_folder(request.out) as out:
            record = _write(request, embedder, out)
            write_text(out / "embed.json", json.dumps(record, indent=1, ensure_ascii=False))
    speed = speed_text(record["audio_s"], time.perf_counter() - started)
    text = f"{record['vectors']} vectors of {record['recordings']} recordings, {speed}: {request.out}"
    for line in (*(f"warning: {warning}" for warning in record["warnings"][:MOST_WARNINGS]), text):
        say(console, line)
    require_whole(record, request.out)
    return record


def _write(request: EmbedRequest, embedder: Embedder, out: Path) -> dict[str, Any]:
    vectors = 0
    tally = Tally()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(TemporaryDirectory(dir=out, prefix=".", suffix=".tmp")))
        listing = stack.enter_context(Listing(scratch / "listing.sqlite"))
        listing.update(iter_recordings(request.sources, spool=scratch))
        events = None
        if request.events is not None:
            events = stack.enter_context(closing(EventList(request.events, scratch / "events.sqlite")))
            for row in listing:
                events.mark(row.recording.name)
            events.require_all_marked()
        writers = [stack.enter_context(writer) for writer in _writers(request, embedder, out)]
        for row in listing:
            of_recording = None if events is None else events.of(row.recording.name)
            result = embed_recording(embedder, row.index, row.recording, of_recording, request.batch_size, scratch)
            for writer in writers:
                writer.add(result)
            tally.add(result)
            vectors += len(result.arrays.get("embeddings", ()))
    return {
        "rfcx_ssl": rfcx_ssl.__version__,
        "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "model": request.model,
        "layer": embedder.layer,
        "dim": embedder.dim,
        "sample_rate_hz": embedder.grid.sample_rate_hz,
        "windows": embedder.windows._asdict(),
        "events": None if request.events is None else str(request.events.absolute()),
        "sources": list(request.sources),
        "audio_s": round(tally.audio_s, 3),
        "recordings": tally.recordings,
        "vectors": vectors,
        "unreadable": tally.unreadable,
        "warnings": tally.warning_lines(),
    }


def _writers(request: EmbedRequest, embedder: Embedder, out: Path) -> list[Writer]:
    length, _ = embedder.windows.on_grid(embedder.grid)
    window_s = length / embedder.grid.sample_rate_hz
    makers: dict[str, Callable[[], Writer]] = {
        "parquet": lambda: EmbeddingParquet(out / "embeddings.parquet", window_s),
        "npz": lambda: EmbeddingNpz(out / "embeddings.npz", window_s),
        "hoplite": lambda: HopliteDatabase(out / "hoplite", window_s, embedder.dim, request.model),
    }
    return [*(makers[name]() for name in dict.fromkeys(request.formats)), ErrorCsv(out / "errors.csv")]


def embed_recording(
    embedder: Embedder,
    index: int,
    recording: Recording,
    events: Sequence[tuple[float, float]] | None,
    batch_size: int,
    spool: Path,
) -> Result:
    """The vectors of one recording as a result; what is wrong with its file is the result's problem, no exception.

    Args:
        embedder: what hears.
        index: of the recording, for the result.
        recording: with its unique name.
        events: start and end in seconds of those to embed; None embeds windows.
        batch_size: windows that are heard at once.
        spool: where a copy of a file of another machine may lie.
    """
    empty = unheard(index, recording, "")
    try:
        with local_copy(recording.path, spool) as path:
            if events is None:
                return _embed_windows(embedder, replace(empty, problem=None), recording, path, batch_size)
            return _embed_events(embedder, replace(empty, problem=None), path, events, batch_size)
    except (AudioError, ScoreError) as error:
        return replace(empty, problem=str(error))


def _embed_windows(embedder: Embedder, empty: Result, recording: Recording, path: Path, batch_size: int) -> Result:
    """Windows as they come; a damaged file has those before the damage."""
    rate, hop = embedder.grid.sample_rate_hz, embedder.grid.hop_samples
    cutter = Cutter(*embedder.windows.on_grid(embedder.grid), hop)
    stretch = Stretch(str(path), recording.start_s, recording.end_s, (rate,), BLOCK_S)
    with open_readers(0) as readers:
        ((_, opened),) = readers.open_all([(None, stretch)])
        num_samples, silent = 0, False

        def windows() -> Iterator[tuple[int, Tensor]]:
            nonlocal num_samples
            for block in opened.blocks():
                num_samples += len(block[rate])
                yield from cutter.push(torch.from_numpy(block[rate]))
            yield from cutter.finish()

        def sounding() -> Iterator[tuple[int, Tensor]]:
            nonlocal silent
            for start, samples in windows():
                if sounding_frames(samples[: len(samples) - cutter.padding], hop).any():
                    yield start, samples
                else:
                    silent = True

        starts, vectors = [], []
        for batch in batched(sounding(), batch_size):
            sums, counts = sums_of_frames(embedder, [Heard(samples, slice(None)) for _, samples in batch])
            starts += [start for start, _ in batch]
            vectors.append(_means(sums, counts, recording.name))
    result = replace(
        empty,
        heard_s=num_samples / rate,
        sample_rate_hz=opened.header.sample_rate_hz,
        problem=opened.problem,
        warnings=(*opened.header.warnings, *([NO_VECTOR] if silent else [])),
    )
    if not vectors:
        return result
    starts_s = np.array(starts) / rate + recording.start_s
    return replace(result, arrays={"windows_s": starts_s, "embeddings": np.concatenate(vectors)})


def _embed_events(
    embedder: Embedder, empty: Result, path: Path, events: Sequence[tuple[float, float]], batch_size: int
) -> Result:
    """The frames of each event, heard in windows around it; of one that is longer than a window, in several.

    An event of which no frame holds a signal has no vector.
    """
    rate, hop = embedder.grid.sample_rate_hz, embedder.grid.hop_samples
    info = audio_info(path, partial=True)
    total = resampled_samples(info.frames, info.sample_rate_hz, rate)
    for start_s, end_s in events:
        if seconds_to_samples(start_s, rate) >= total:
            raise AudioError(f"{empty.path}: has {total / rate:.3f} s, but an event from {start_s:g} to {end_s:g} s")
    sums = torch.zeros(len(events), embedder.dim, dtype=torch.float64)
    counts = torch.zeros(len(events), dtype=torch.int64)
    sounding = torch.zeros(len(events), dtype=torch.bool)
    places = [(row, place) for row, event in enumerate(events) for place in _places(embedder, event, total)]
    for batch in batched(places, batch_size):  # all of one length, for it is the window's or the recording's
        pieces = [_read(path, place, total, embedder) for _, place in batch]
        found, numbers = sums_of_frames(embedder, pieces)
        rows = torch.tensor([row for row, _ in batch])
        sums.index_add_(0, rows, found)
        counts.index_add_(0, rows, numbers)
        for (row, (first, kept)), piece in zip(batch, pieces, strict=True):
            sounding[row] |= sounding_frames(piece.samples[: total - first * hop], hop)[kept].any()
    warnings = () if sounding.all() else (NO_VECTOR,)
    result = replace(
        empty, heard_s=total / rate, sample_rate_hz=info.sample_rate_hz, problem=info.problem, warnings=warnings
    )
    if not sounding.any():
        return result
    starts, ends = np.array(events)[sounding.numpy()].T
    vectors = _means(sums[sounding], counts[sounding], empty.recording)
    return replace(result, arrays={"windows_s": starts, "windows_end_s": ends, "embeddings": vectors})


def _places(embedder: Embedder, event: tuple[float, float], total: int) -> Iterator[tuple[int, slice]]:
    """First frames of the windows around an event, and its frames in them; every frame of the event once."""
    grid = embedder.grid
    num_frames = grid.num_frames(total)
    window = min(embedder.windows.on_grid(grid)[0] // grid.hop_samples, num_frames)
    inside = grid.frame_slice(*event, num_frames)
    end = max(inside.stop, inside.start + 1)  # of an event between two samples the frame it is in
    for start in range(inside.start, end, window):
        stop = min(start + window, end)
        first = min(max((start + stop - window) // 2, 0), num_frames - window)
        yield first, slice(start - first, stop - first)


def _read(path: Path, place: tuple[int, slice], total: int, embedder: Embedder) -> Heard:
    """The audio of a window; a recording shorter than one is heard as it is, the last frame of one padded with zeros."""
    (first, kept), grid = place, embedder.grid
    window, _ = embedder.windows.on_grid(grid)
    start, length = first * grid.hop_samples, window if total > window else total
    samples = read_audio(
        path,
        start_samples=start,
        num_samples=min(length, total - start),
        sample_rate_hz=grid.sample_rate_hz,
        partial=True,
    )
    missing = length - len(samples)
    return Heard(torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(samples)), (0, missing)), kept)


def _means(sums: Tensor, counts: Tensor, recording: str) -> NDArray[np.float32]:
    """Vectors (n, D).

    Raises:
        ScoreError: one of them is not finite.
    """
    vectors = (sums / counts[:, None]).float()
    if not is_finite(vectors):
        raise ScoreError(f"{recording}: the model's features are not numbers")
    found: NDArray[np.float32] = vectors.numpy()
    return found
