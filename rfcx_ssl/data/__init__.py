"""Training data: the labelled corpus, its folds and splits, and crops as a function of (seed, epoch, index)."""

from rfcx_ssl.data.corpus import Corpus, load_corpus
from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.data.recordings import Recording
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.data.truth import RecordingTruth, Truth, load_truth, recording_truth
from rfcx_ssl.labels import collate

__all__ = [
    "Corpus",
    "CropDataset",
    "DataSettings",
    "Recording",
    "RecordingTruth",
    "Truth",
    "collate",
    "load_corpus",
    "load_truth",
    "recording_truth",
]
