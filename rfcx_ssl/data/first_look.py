"""The first look at a folder of recordings and label tables: what is there, and the settings that fit it."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from rfcx_ssl.annotations import Annotations, Complete, ProjectFiles, read_project
from rfcx_ssl.audio import audio_info
from rfcx_ssl.data.from_dataset import COMPLETE_TABLE
from rfcx_ssl.data.recordings import read_recordings_table, sites_of
from rfcx_ssl.errors import AudioError
from rfcx_ssl.species import SpeciesTable

RATES_HZ = (16_000, 32_000, 48_000, 96_000, 192_000)  # of models, as far as configs/finetune/model has them by name
USUAL_RATE_HZ = 32_000
CROP_S = (2.5, 5.0, 10.0)
MOST_FOLDS = 5


@dataclass(frozen=True)
class FirstLook:
    """What a folder holds; lengths and rates are those of labelled recordings that can be read."""

    root: Path
    complete: Complete
    species: SpeciesTable
    annotations: Annotations
    num_audio: int  # audio files below root, labelled or not
    durations_s: dict[str, float]
    rates_hz: Counter[int]
    unreadable: tuple[str, ...]  # one line each
    kinds: Mapping[str, int]  # label tables by kind
    sites: dict[str, str]

    @cached_property
    def lengths_s(self) -> list[float]:
        """Lengths of the present boxes, tags left out."""
        table = self.annotations.table
        boxes = table[(table["state"] == "present") & ~table["weak"]]
        return sorted((boxes["t_max"] - boxes["t_min"]).tolist())

    @cached_property
    def highest_hz(self) -> float | None:
        """Upper end of the highest call."""
        bands = [band for species in range(len(self.species)) if (band := self.species.band_hz(species)) is not None]
        return max((high for _, high in bands), default=None)

    @property
    def group_by(self) -> str:
        """What folds keep together: sites where there are enough of them, else recordings."""
        sites = {self.sites.get(name) for name in self.annotations.recording_ids}
        return "site" if None not in sites and len(sites) >= MOST_FOLDS else "recording"

    @property
    def num_folds(self) -> int:
        """Five, or as many as there are recordings to deal."""
        return max(2, min(MOST_FOLDS, len(self.annotations.recording_ids)))

    @property
    def sample_rate_hz(self) -> int:
        """The usual rate, or the first that holds the highest call."""
        if self.highest_hz is None or self.highest_hz <= USUAL_RATE_HZ / 2:
            return USUAL_RATE_HZ
        return next((rate for rate in RATES_HZ if rate >= 2 * self.highest_hz), RATES_HZ[-1])

    @property
    def crop_s(self) -> float:
        """The shortest usual crop that is twice as long as nine calls of ten."""
        if not self.lengths_s:
            return CROP_S[1]
        long_s = self.lengths_s[math.ceil(0.9 * len(self.lengths_s)) - 1]
        return next((crop_s for crop_s in CROP_S if crop_s >= 2 * long_s), CROP_S[-1])


def look(root: Path, complete: Complete) -> FirstLook:
    """Read every label table below ``root`` and the headers of the labelled recordings; writes a missing species.csv.

    Raises:
        AnnotationError: no label table, or a wrong row in one (file and line).
    """
    listed = root / COMPLETE_TABLE
    files = ProjectFiles(root, complete_file=listed if listed.is_file() else None)
    project = read_project(files, complete=complete)
    durations_s: dict[str, float] = {}
    rates_hz: Counter[int] = Counter()
    unreadable = []
    for name in project.annotations.recording_ids:
        try:
            info = audio_info(project.audio.paths[name])
        except AudioError as error:
            unreadable.append(str(error))
        else:
            durations_s[name] = info.duration_s
            rates_hz[info.sample_rate_hz] += 1
    sites = sites_of(read_recordings_table(root, project.audio.find))
    return FirstLook(
        root, complete, project.species, project.annotations, len(project.audio.paths), durations_s, rates_hz,
        tuple(unreadable), project.kinds, sites,
    )  # fmt: skip


def describe(found: FirstLook) -> list[str]:
    """What was found, a sentence a line."""
    rows = found.annotations.table
    states = rows["state"].value_counts()
    kinds = ", ".join(f"{count} {name}" for name, count in Counter(found.kinds).most_common())
    rates = ", ".join(f"{rate / 1000:g} kHz" for rate, _ in found.rates_hz.most_common())
    lines = [
        f"{found.num_audio} audio files, {len(found.durations_s)} of them labelled ({sum(found.durations_s.values()) / 60:.1f} min, {rates})",
        f"{sum(found.kinds.values())} label tables ({kinds}): {states.get('present', 0)} present and {states.get('absent', 0)} absent rows "
        f"of {len(found.species)} species",
    ]
    if found.lengths_s:
        lines.append(
            f"calls last {found.lengths_s[0]:.2g} to {found.lengths_s[-1]:.2g} s, half of them up to {median(found.lengths_s):.2g} s"
        )
    lines.append(f"{len(found.annotations.complete)} recordings are complete: what is not marked in them is absent")
    if few := rare(found):
        lines.append(
            f"in fewer than {found.num_folds} recordings, too rare to be validated in every fold: {', '.join(few)}"
        )
    lines += [f"cannot be read: {line}" for line in found.unreadable]
    return lines


def rare(found: FirstLook) -> list[str]:
    """Species with fewer labelled recordings than there are folds, with their number."""
    rows = found.annotations.table
    present = rows[rows["state"] == "present"].groupby("species_id")["recording_id"].nunique()
    counts = [int(present.get(species, 0)) for species in range(len(found.species))]
    return [
        f"{name} ({count})" for name, count in zip(found.species.names, counts, strict=True) if count < found.num_folds
    ]


def project_text(found: FirstLook, *, date: str, version: str) -> str:
    """The project file: every line a setting, every choice with its reason."""
    settings = [*_data_lines(found), *_model_lines(found)]
    head = [
        f"# Project file of rfcx-ssl {version}, written by `rfcx-ssl init` on {date}. Every line is a setting as on the command",
        "# line, which wins over it:  python finetune/train.py project=THIS_FILE max_steps=2000 output_dir=RUN",
        "#",
        *(f"# {line}" for line in describe(found)),
        "",
    ]
    return "\n".join([*head, *settings, ""])


def _data_lines(found: FirstLook) -> Sequence[str]:
    lines = [
        "experiment: first              # a small CNN, settings for a CPU: configs/finetune/experiment/first.yaml",
        "data: annotations              # audio and label tables of any kind, at any depth below root",
        "data.root: .                   # this file's folder",
        "",
        "# Negatives. complete: tables says that in every recording with a label table all calls of all species are marked, so that",
        "# the rest is absent; listed: only in recordings that complete_file or recordings.csv name; all: in every recording.",
        f"data.complete: {found.complete}",
    ]
    if (found.root / COMPLETE_TABLE).is_file():
        lines.append(f"data.complete_file: {COMPLETE_TABLE}")
    if not found.annotations.has_negatives:
        lines.append(
            "# NOTHING IS KNOWN TO BE ABSENT: the model can only guess where a species is not. Say what is complete."
        )
    lines += [
        "",
        f"data.sample_rate_hz: {found.sample_rate_hz}    # "
        + (
            "bands of the calls are not known"
            if found.highest_hz is None
            else f"the highest call reaches {found.highest_hz:g} Hz"
        ),
        f"data.crop_s: {found.crop_s:g}               # one training example, seconds; about twice the longest calls",
        f"data.group_by: {found.group_by:<15} # recordings of one group never are in two folds: recording, site, day or a column of recordings.csv",
        f"data.num_folds: {found.num_folds}",
        "# data.test_share: 0.2         # keep a fifth of the groups for `rfcx-ssl evaluate`: no fold trains on them",
        "# data.label_map: labels.csv   # label,species: two labels for one species; an empty species skips the label",
    ]
    return lines


def _model_lines(found: FirstLook) -> Sequence[str]:
    """Settings of the small CNN that its files leave to the data."""
    if found.sample_rate_hz == USUAL_RATE_HZ:
        return []
    return [
        "",
        "# The model hears at the rate of the data, up to half of it.",
        f"model.sample_rate_hz: {found.sample_rate_hz}",
        f"model.mel.f_max_hz: {found.sample_rate_hz / 2:g}",
        f"model.mel.hop_samples: {found.sample_rate_hz // 50}",
        f"model.mel.n_fft: {2 ** math.ceil(math.log2(found.sample_rate_hz / 32))}",
    ]
