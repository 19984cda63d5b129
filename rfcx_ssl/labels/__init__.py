"""Three-state labels: present, absent or unknown for every class and frame (rules in docs/labels.md)."""

from rfcx_ssl.labels.batch import Batch, Crop, collate
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.labels.intervals import majority_slice, share_inside

__all__ = ["Batch", "Crop", "clip_labels", "collate", "frame_labels", "majority_slice", "share_inside"]
