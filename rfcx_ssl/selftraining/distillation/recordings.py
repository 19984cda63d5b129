"""Recordings without labels: which are held out, and crops of the others as a function of (seed, epoch, index)."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rfcx_ssl.audio import audio_info, read_audio, resampled_samples
from rfcx_ssl.audio.find import find_audio
from rfcx_ssl.errors import AudioError
from rfcx_ssl.manifest.split import group_position
from rfcx_ssl.selftraining.distillation.settings import UnlabelledSettings


class Unlabelled(NamedTuple):
    """One recording; ``num_samples`` counts at the student's rate."""

    name: str  # its path below the folder that was searched
    path: Path
    num_samples: int
    group: str


class Heard(NamedTuple):
    """Crops as the student and its teachers hear them; fields of a single crop lack the first dimension.

    ``others`` holds the crop at every other rate of a teacher, one after the other (:class:`Ears` takes them apart).
    """

    waveform: Tensor  # (B, N) at the student's rate
    others: Tensor  # (B, M)
    index: Tensor  # type: ignore[assignment]  # (B,)


class Ears(NamedTuple):
    """Length of a crop, at the rates that somebody hears it at: the student's first."""

    crop_s: float
    rates_hz: tuple[int, ...]

    @property
    def lengths(self) -> list[int]:
        """Samples of a crop at each rate."""
        return [round(self.crop_s * rate) for rate in self.rates_hz]

    def read(self, path: Path, start_samples: int) -> list[Tensor]:
        """The crop (n,) that starts there, counted at the student's rate, at each rate; zeros follow where the file ends."""
        starts = [round(start_samples * rate / self.rates_hz[0]) for rate in self.rates_hz]
        return [
            torch.from_numpy(read_audio(path, start_samples=start, num_samples=length, sample_rate_hz=rate))
            for start, length, rate in zip(starts, self.lengths, self.rates_hz, strict=True)
        ]

    def by_rate(self, heard: Heard) -> Mapping[int, Tensor]:
        """Crops (B, n) by rate."""
        others = torch.split(heard.others, self.lengths[1:], dim=1) if len(self.rates_hz) > 1 else ()
        return dict(zip(self.rates_hz, (heard.waveform, *others), strict=True))


class UnlabelledCrops:
    """Crops that start anywhere, every start of every recording as likely as any other.

    A recording shorter than a crop has one start, and zeros follow it.
    """

    def __init__(self, recordings: Sequence[Unlabelled], ears: Ears, *, seed: int, length: int | None = None) -> None:
        self.recordings, self.ears, self.seed = recordings, ears, seed
        crop = ears.lengths[0]
        self._ends = np.cumsum([max(recording.num_samples - crop, 0) + 1 for recording in recordings])
        total = sum(recording.num_samples for recording in recordings)
        self.length = length or max(1, round(total / crop))
        self._epoch = 0

    def __len__(self) -> int:
        return self.length

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch of the items that follow."""
        self._epoch = epoch

    def place(self, index: int) -> tuple[Unlabelled, int]:
        """Recording and first sample of item ``index`` of the current epoch."""
        drawn = int(np.random.default_rng([self.seed, self._epoch, index]).integers(self._ends[-1]))
        number = int(np.searchsorted(self._ends, drawn, side="right"))
        return self.recordings[number], drawn - int(self._ends[number - 1] if number else 0)

    def __getitem__(self, index: int) -> Heard:
        recording, start = self.place(index)
        waveform, *others = self.ears.read(recording.path, start)
        return Heard(waveform, torch.cat([*others, torch.zeros(0)]), torch.tensor(index))


def collate_heard(items: Sequence[Heard]) -> Heard:
    """Stack crops into a batch."""
    return Heard(*(torch.stack(field) for field in zip(*items, strict=True)))


def find_unlabelled(settings: UnlabelledSettings, sample_rate_hz: int) -> list[Unlabelled]:
    """All recordings below the folders, by name; a file that two folders lead to counts once.

    Raises:
        AudioError: a folder is not there, there are no recordings, or one of them cannot be read.
    """
    found: dict[Path, Unlabelled] = {}
    for folder in settings.folders:
        if not folder.is_dir():
            raise AudioError(f"data.folders: there is no folder {folder}")
        for path in find_audio(folder):
            name = path.relative_to(folder).as_posix()
            group = name if settings.group_by == "recording" else Path(name).parent.as_posix()
            info = audio_info(path)
            samples = resampled_samples(info.frames, info.sample_rate_hz, sample_rate_hz)
            if samples:
                found.setdefault(path.resolve(), Unlabelled(name, path, samples, group))
    if not found:
        raise AudioError(f"data.folders: no recordings in {', '.join(map(str, settings.folders))}")
    return sorted(found.values(), key=lambda recording: (recording.name, str(recording.path)))


def divide(
    recordings: Sequence[Unlabelled], settings: UnlabelledSettings
) -> tuple[list[Unlabelled], list[Unlabelled]]:
    """Training and held-out recordings: a group is held out where ``hash(seed, group) < valid_share``.

    So new files move no old ones, but for one group that is on either side in any case (where ``valid_share`` is above 0).

    Raises:
        AudioError: something is to be held out of a single group.
    """
    if not settings.valid_share:
        return list(recordings), []
    groups = sorted({item.group for item in recordings}, key=lambda group: group_position(group, settings.seed))
    if len(groups) < 2:
        raise AudioError(
            f"data.valid_share={settings.valid_share:g} of a single group ({groups[0]}, data.group_by={settings.group_by}): "
            "nothing would be left to learn from; use data.valid_share=0 or more recordings"
        )
    held_out = {group for group in groups[1:-1] if group_position(group, settings.seed) < settings.valid_share}
    held_out.add(groups[0])
    sides: tuple[list[Unlabelled], list[Unlabelled]] = ([], [])
    for item in recordings:
        sides[item.group in held_out].append(item)
    return sides


def hash_recordings(recordings: Sequence[Unlabelled]) -> str:
    """What run.json says of the recordings of a side: their names and lengths."""
    return hashlib.sha256("\n".join(f"{item.name}\t{item.num_samples}" for item in recordings).encode()).hexdigest()
