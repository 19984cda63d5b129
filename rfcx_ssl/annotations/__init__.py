"""Annotations: which species was heard, or ruled out, in which box of which recording."""

from rfcx_ssl.annotations.audio_index import AudioIndex
from rfcx_ssl.annotations.complete import read_complete
from rfcx_ssl.annotations.conflicts import Conflicts, find_conflicts
from rfcx_ssl.annotations.convert import ProgramRule
from rfcx_ssl.annotations.label_map import LabelMap, default_label_map, read_label_map
from rfcx_ssl.annotations.project import Complete, Project, ProjectFiles, read_project
from rfcx_ssl.annotations.read import read_annotations, read_extra, read_truth_events
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.annotations.table import (
    COLUMNS,
    UNKNOWN_BAND_HZ,
    WHOLE,
    Annotations,
    Event,
    RowProblem,
    Span,
    fail_on_problems,
)

__all__ = [
    "COLUMNS",
    "UNKNOWN_BAND_HZ",
    "WHOLE",
    "Annotations",
    "AudioIndex",
    "Complete",
    "Conflicts",
    "Event",
    "LabelMap",
    "ProgramRule",
    "Project",
    "ProjectFiles",
    "RowProblem",
    "Span",
    "default_label_map",
    "fail_on_problems",
    "find_conflicts",
    "read_annotations",
    "read_complete",
    "read_extra",
    "read_label_map",
    "read_project",
    "read_table",
    "read_truth_events",
]
