"""What is read before any audio is: labels, species and the places of audio files, in either layout."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.annotations import (
    Annotations,
    ProgramRule,
    read_annotations,
    read_complete,
    read_project,
)
from rfcx_ssl.annotations.complete import complete_column
from rfcx_ssl.data.recordings import RecordingsTable, audio_by_id, read_recordings_table, sites_of
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.labels.pseudo import PseudoLabels
from rfcx_ssl.species import SpeciesTable, read_species, rfcx_species


@dataclass(frozen=True)
class Sources:
    """Everything that the tables of a data set say."""

    species: SpeciesTable
    annotations: Annotations
    paths: Mapping[str, Path]  # audio files there are, by recording
    table: RecordingsTable
    pseudo: tuple[PseudoLabels, ...]
    find: Callable[[str], str] = str  # the recording that a cell of a table means; ValueError: none

    @property
    def sites(self) -> dict[str, str]:
        """Site of each recording that has one."""
        return sites_of(self.table)

    @property
    def recording_ids(self) -> list[str]:
        """Sorted ids of every recording that anything is said about."""
        return sorted(set(self.annotations.recording_ids).union(*(teacher.by_recording for teacher in self.pseudo)))


def read_sources(settings: DataSettings) -> Sources:
    """Read every table of a data set, and list its audio files by their names.

    Raises:
        AnnotationError: a wrong row, naming file and line, or a file that cannot be read.
    """
    pseudo = tuple(PseudoLabels.load(path) for path in settings.pseudo_files)
    if settings.layout == "annotations":
        rule = None
        if settings.program is not None:
            rule = ProgramRule(settings.program.weight, settings.program.min_confidence)
        project = read_project(
            settings.project_files,
            complete=settings.complete,
            program=rule,
            allow_missing_audio=settings.allow_missing_audio,
        )
        find = project.audio.find
        table = read_recordings_table(settings.root, find)
        return Sources(project.species, project.annotations, project.audio.paths, table, pseudo, find)
    species = read_species(settings.species_table) if settings.species_table else rfcx_species()
    listed = read_complete(settings.complete_file, species) if settings.complete_file else {}
    annotations = read_annotations(
        settings.root,
        extra_tables=settings.extra_tables,
        label_map=settings.label_map,
        complete=complete_column(settings.root) | listed,
        species=species,
    )
    paths = audio_by_id(settings.root, settings.audio_folders)
    return Sources(species, annotations, paths, read_recordings_table(settings.root), pseudo)
