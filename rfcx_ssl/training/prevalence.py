"""The prevalence a model is trained under: what saved scores are calibrated to, as far as they are."""

import numpy as np

from rfcx_ssl.data import DataSettings
from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.labels.pseudo import scaled_to
from rfcx_ssl.losses.settings import LossSettings

MOST_CROPS = 4000  # of the first epoch; a share of so many is right within 0.01


def train_prevalence(train_set: CropDataset, loss: LossSettings) -> list[float | None]:
    """Share of present among what the clip labels of training say of each species (S values).

    A crop counts for a species what its clip label weighs in the loss: as much as it is known, or the weight of unknown
    labels (with their target). So this is the prevalence of a **crop** as the sampler deals them, not of a recording:
    present and absent boxes of every species take turns, and all species have much the same. What ``data.pseudo.mix`` adds to
    a crop counts as in it. Left out are augmentations, label smoothing and ``pos_weight``; outputs of one species count as their highest.

    Returns:
        None for a species of which training only ever says one thing.
    """
    unknown = loss.unknown
    weight, default = (unknown.weight, unknown.target) if unknown else (0.0, 0.0)
    of_output = np.array(train_set.corpus.space.output_species)
    scored = of_output >= 0  # all but noise
    present, total = np.zeros((2, train_set.corpus.space.num_species))
    for index in range(min(len(train_set), MOST_CROPS)):
        labels = train_set.labels(index)
        weights = np.where(labels.clip_known > 0, labels.clip_known, weight)
        targets = np.where(labels.clip_known > 0, labels.clip_target, default)
        for sums, values in ((present, weights * targets), (total, weights)):
            highest = np.zeros_like(sums)
            np.maximum.at(highest, of_output[scored], values[scored])
            sums += highest
    shares = np.divide(present, total, out=np.zeros_like(total), where=total > 0)
    return [float(share) if 0 < share < 1 else None for share in shares]


def scaled_prevalence(data: DataSettings) -> str | None:
    """What the pseudo-labels that a run learns from were scaled to; None where they were not, or there are none."""
    return next((found for path in data.pseudo_files if (found := scaled_to(path))), None)
