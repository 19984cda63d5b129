"""Training data: the labelled corpus, its folds and splits, and crops as a function of (seed, epoch, index)."""

from rfcx_ssl.data.corpus import Corpus, load_corpus
from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.data.recordings import Recording
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.data.truth import ClipTruth, Truth, clip_truth, load_truth
from rfcx_ssl.labels import collate

__all__ = [
    "ClipTruth",
    "Corpus",
    "CropDataset",
    "DataSettings",
    "Recording",
    "Truth",
    "clip_truth",
    "collate",
    "load_corpus",
    "load_truth",
]
