"""Settings of the labelled data: where it is, how it is cut into crops and what its labels mean."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rfcx_ssl.annotations import Complete, ProjectFiles
from rfcx_ssl.annotations.layout import ABSENT_TABLE, PRESENT_TABLE, RECORDINGS_TABLE, SPECIES_TABLE
from rfcx_ssl.config import load_settings
from rfcx_ssl.labels.clips import ClipAbsent
from rfcx_ssl.project import SUFFIXES, data_words
from rfcx_ssl.settings import settings

Layout = Literal["rfcx", "annotations"]


@settings
class ProgramSettings:
    """Rows of label tables that a program wrote (BirdNET, Kaleidoscope's AUTO ID, ``rfcx-ssl detect``) as labels."""

    min_confidence: float = 0.9  # rows below are left out
    weight: float = 0.3  # of such a label, where a person's has 1

    def __post_init__(self) -> None:
        """Reject values without a meaning."""
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight={self.weight} must be above 0 and at most 1")
        if not 0 <= self.min_confidence <= 1:
            raise ValueError(f"min_confidence={self.min_confidence} must be in [0, 1]")


@settings
class PseudoMixSettings:
    """Noisy students: a pseudo-labelled crop is added to a crop, drawn by the confidence of its labels."""

    p: float  # probability that a crop gets a partner
    share: float = 0.5  # of the crop; the partner has the rest
    match_level: bool = True  # bring the partner to the crop's own power first, so that a share is a loudness

    def __post_init__(self) -> None:
        """Reject values without a meaning."""
        if not 0 < self.p <= 1:
            raise ValueError(f"p={self.p} must be above 0 and at most 1; null mixes nothing")
        if not 0 < self.share < 1:
            raise ValueError(f"share={self.share} must be above 0 and below 1")


@settings
class PseudoSettings:
    """Soft frame labels of other models, for cells that nobody judged."""

    files: tuple[Path, ...]  # one per teacher; a crop takes one of them at random, each epoch anew
    weight: float = 0.3  # of a pseudo-labelled cell, where a listened one has 1
    min_probability: float = 0.0  # cells below stay unknown
    mix: PseudoMixSettings | None = None

    def __post_init__(self) -> None:
        """Reject values without a meaning."""
        if not self.files:
            raise ValueError("files must name at least one file; null leaves pseudo-labels out")
        if not 0 < self.weight <= 1:
            raise ValueError(f"weight={self.weight} must be above 0 and at most 1")
        if not 0 <= self.min_probability <= 1:
            raise ValueError(f"min_probability={self.min_probability} must be in [0, 1]")


@settings
class DataSettings:
    """A labelled data set, in RFCX's layout or any other, and how training examples are drawn from it (docs/labels.md)."""

    root: Path
    layout: Layout = "rfcx"  # rfcx: train_tp.csv and train_fp.csv; annotations: tables of any kind beside the audio
    species_file: Path | None = (
        None  # None: root/species.csv; without it RFCX's, or (annotations) inferred and written there
    )
    sample_rate_hz: int = 32_000
    crop_s: float = 5.0
    # folds
    num_folds: int = 5
    seed: int = 0  # of the folds; crops use the training seed
    group_by: str = "recording"  # or day, or a column of recordings.csv such as site: never split between folds
    folds_file: Path | None = None  # read if it exists, else written
    # test part: no fold trains on it or validates on it; at most one of the two
    test_share: float | None = None  # share of the groups, dealt like folds
    test_file: Path | None = None  # ids, one a line; or a table with recording_id and split, which says test
    # label sources
    audio_folders: tuple[str, ...] = ("train",)  # below root, searched in this order; "." is root itself
    extra_tables: tuple[Path, ...] = ()  # more label tables of any kind, folders of them
    label_map: Path | None = None  # what labels mean: label, species (or species_id), songtype_id, state
    complete_file: Path | None = None  # recordings, or parts of them, in which every call is marked
    complete: Complete = "listed"  # annotations: also all recordings that have a table, or all
    program: ProgramSettings | None = None  # annotations: None leaves out what programs wrote
    pseudo: PseudoSettings | None = None
    allow_missing_audio: bool = False  # use only the recordings whose file is there
    max_recordings: int | None = None  # a random part of the recordings, for quick trials
    # label budget of the training side: at most one of the two; validation keeps all its labels
    labels_per_species: int | None = None  # recordings that stand for each species and song type
    label_fraction: float | None = None  # share of the labelled recordings, at least one of each species and song type
    label_seed: int = 0  # which recordings; neither folds nor training depend on it
    # label rules
    edge_tolerance_s: float = 0.1
    coverage: float = 0.5
    clip_absent: ClipAbsent = "box"
    split_songtypes: bool = False
    noise_class: bool = False
    # crops: shares of the anchors
    present_share: float = 0.5
    absent_share: float = 0.5
    random_share: float = 0.0
    class_balanced: bool = True
    jitter: float = 1.0  # 0: the box in the middle of the crop; 1: anywhere that keeps `coverage` of it inside
    crops_per_epoch: int | None = None  # None: each present box once, and the other kinds in proportion
    # int16 copy of the audio at sample_rate_hz, read by memory map
    cache: bool = False
    cache_dir: Path | None = None  # None: root/cache_<sample_rate_hz>

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        for key in ("sample_rate_hz", "crops_per_epoch", "max_recordings", "crop_s"):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise ValueError(f"{key}={value} must be above 0")
        if self.num_folds < 2:
            raise ValueError(f"num_folds={self.num_folds} must be at least 2")
        if self.seed < 0 or self.edge_tolerance_s < 0:
            raise ValueError(f"seed={self.seed} and edge_tolerance_s={self.edge_tolerance_s} must not be negative")
        if min(self.shares) < 0 or sum(self.shares) <= 0:
            raise ValueError(f"present_share, absent_share, random_share={self.shares} must be >= 0, one above 0")
        if not self.audio_folders:
            raise ValueError("audio_folders must name at least one folder below root")
        if self.layout == "rfcx" and (self.complete != "listed" or self.program is not None):
            raise ValueError("complete and program need layout=annotations")
        self._check_fractions()
        self._check_budget()
        self._check_test_part()

    def _check_fractions(self) -> None:
        if not 0 < self.coverage <= 1:
            raise ValueError(f"coverage={self.coverage} must be above 0 and at most 1")
        if not 0 <= self.jitter <= 1:
            raise ValueError(f"jitter={self.jitter} must be in [0, 1]")

    def _check_budget(self) -> None:
        if self.labels_per_species is not None and self.label_fraction is not None:
            raise ValueError(
                f"labels_per_species={self.labels_per_species} and label_fraction={self.label_fraction}: set only one"
            )
        if self.labels_per_species is not None and self.labels_per_species < 1:
            raise ValueError(f"labels_per_species={self.labels_per_species} must be at least 1; null keeps all labels")
        if self.label_fraction is not None and not 0 < self.label_fraction <= 1:
            raise ValueError(f"label_fraction={self.label_fraction} must be above 0 and at most 1")
        if self.label_seed < 0:
            raise ValueError(f"label_seed={self.label_seed} must not be negative")

    def _check_test_part(self) -> None:
        if not self.group_by:
            raise ValueError("group_by must be recording, day or a column of recordings.csv, such as site")
        if self.test_share is not None and self.test_file is not None:
            raise ValueError(f"test_share={self.test_share:g} and test_file={self.test_file}: set only one")
        if self.test_share is not None and not 0 < self.test_share < 1:
            raise ValueError(f"test_share={self.test_share:g} must be above 0 and below 1; null has no test part")

    @property
    def has_label_budget(self) -> bool:
        """Whether training may learn from some of the labels only."""
        return self.labels_per_species is not None or self.label_fraction is not None

    @property
    def shares(self) -> tuple[float, float, float]:
        """Relative numbers of crops around present boxes, around absent boxes and at random."""
        return (self.present_share, self.absent_share, self.random_share)

    @property
    def crop_samples(self) -> int:
        """Length of a crop in samples."""
        return round(self.crop_s * self.sample_rate_hz)

    @property
    def cache_path(self) -> Path | None:
        """Folder of the audio cache, or None where there is none."""
        if not self.cache:
            return None
        return self.cache_dir or self.root / f"cache_{self.sample_rate_hz}"

    @property
    def species_table(self) -> Path | None:
        """The file of the project's species, or None where there is none."""
        beside = self.root / SPECIES_TABLE
        return self.species_file or (beside if beside.is_file() else None)

    @property
    def pseudo_files(self) -> tuple[Path, ...]:
        """Files of pseudo-labels, if there are any."""
        return () if self.pseudo is None else self.pseudo.files

    @property
    def project_files(self) -> ProjectFiles:
        """Where the labels are in layout annotations."""
        return ProjectFiles(
            self.root,
            species_file=self.species_file,
            audio_folders=self.audio_folders,
            extra_tables=self.extra_tables,
            label_map=self.label_map,
            complete_file=self.complete_file,
            others=tuple(path for path in (self.folds_file, self.test_file) if path is not None),
        )

    @property
    def label_files(self) -> tuple[Path, ...]:
        """Every file and folder that shapes labels, folds or sites; some may not exist."""
        if self.layout == "rfcx":
            tables = [self.root / name for name in (PRESENT_TABLE, ABSENT_TABLE)]
        else:
            tables = self.project_files.found_tables()
        single = (
            self.root / RECORDINGS_TABLE,
            self.species_table,
            self.label_map,
            self.complete_file,
            self.folds_file,
            self.test_file,
        )
        return (*tables, *self.extra_tables, *self.pseudo_files, *(path for path in single if path is not None))


def load_data_settings(root: Path, config: str, overrides: Sequence[str]) -> DataSettings:
    """``configs/finetune/data/<config>.yaml`` with ``overrides``, for the data set in ``root``, however it is named.

    ``root`` may be a project file, which says where the data are, and what they are (``config`` is then not used).
    """
    if root.suffix in SUFFIXES:
        config, words = data_words(root)
        return load_settings(DataSettings, "finetune/data", config, [*words, *overrides])
    quoted = str(root).replace("'", r"\'")
    return load_settings(DataSettings, "finetune/data", config, [f"root='{quoted}'", *overrides])
