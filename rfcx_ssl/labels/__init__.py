"""Three-state labels: present, absent or unknown for every class and frame (rules in docs/labels.md).

The words of a batch need torch alone and are exported here; the modules that make labels, or read and write
pseudo-labels, bring pandas and pyarrow with them and are imported by their names.
"""

from rfcx_ssl.labels.batch import Batch, Crop, Lesson, TaughtBatch, collate

__all__ = ["Batch", "Crop", "Lesson", "TaughtBatch", "collate"]
