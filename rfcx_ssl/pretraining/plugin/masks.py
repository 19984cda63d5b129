"""Draw masks from numpy's seeded generator: this fairseq gives each clip a fresh one from the operating system.

Without it two runs with the same seed differ, and a resumed run is another run.
"""

import functools
from typing import Any

import numpy as np
from fairseq.models.wav2vec import wav2vec2
from numpy.typing import NDArray


def seed_masks() -> None:
    """Make ``compute_mask_indices``, as the wav2vec 2.0 model calls it, a function of ``np.random``'s state."""
    original = wav2vec2.compute_mask_indices

    @functools.wraps(original)
    def compute_mask_indices(shape: tuple[int, int], *args: Any, **options: Any) -> NDArray[np.bool_]:  # noqa: ANN401
        if options.get("seed") is None:
            # fairseq hashes (seed, epoch, index) into the seed of one clip's mask
            options |= {"seed": int(np.random.randint(2**31)), "epoch": 0, "indices": np.arange(shape[0])}  # noqa: NPY002
        masks: NDArray[np.bool_] = original(shape, *args, **options)
        return masks

    wav2vec2.compute_mask_indices = compute_mask_indices
