"""Three-state labels: present, absent or unknown for every class and frame (rules in docs/labels.md)."""

from rfcx_ssl.labels.batch import Batch, Crop, collate
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.labels.intervals import majority_slice, share_inside
from rfcx_ssl.labels.pseudo import PseudoLabels, add_pseudo_labels, fill_clip_labels, write_pseudo_labels

__all__ = [
    "Batch",
    "Crop",
    "PseudoLabels",
    "add_pseudo_labels",
    "clip_labels",
    "collate",
    "fill_clip_labels",
    "frame_labels",
    "majority_slice",
    "share_inside",
    "write_pseudo_labels",
]
