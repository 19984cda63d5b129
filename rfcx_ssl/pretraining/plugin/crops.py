"""Crops of a manifest as a fairseq data set: only the crop is read from disk, and resampled on the fly.

Stock fairseq reads and decodes the whole file for every crop; from a 60 s recording that is several times slower.
"""

import logging
import time

import numpy as np
import torch
from fairseq.data.audio.raw_audio_dataset import RawAudioDataset
from torch import Tensor

from rfcx_ssl.audio import FloatArray
from rfcx_ssl.errors import AudioError
from rfcx_ssl.manifest.virtual import VirtualManifest

logger = logging.getLogger(__name__)
_ATTEMPTS = 3  # network disks fail for a moment


class ManifestCropDataset(RawAudioDataset):
    """One random crop of at most ``max_sample_size`` samples per segment and epoch.

    The start of a crop is a function of (seed, epoch, index) alone: not of workers, processes or resumes.

    Args:
        manifest: the segments.
        seed: of the crops.
        max_sample_size: longest crop in samples; None takes whole segments.
        min_sample_size: shorter segments are left out.
        pad: pad to the longest crop of a batch instead of cropping to the shortest.
        normalize: zero mean and unit variance per crop.
        skip_unreadable: leave unreadable crops out of their batch, with a warning.
    """

    def __init__(
        self,
        manifest: VirtualManifest,
        *,
        seed: int,
        max_sample_size: int | None,
        min_sample_size: int,
        pad: bool,
        normalize: bool,
        skip_unreadable: bool = False,
    ) -> None:
        super().__init__(
            sample_rate=manifest.sample_rate_hz,
            max_sample_size=max_sample_size,
            min_sample_size=min_sample_size,
            pad=pad,
            normalize=normalize,
        )
        self.manifest = manifest
        self.rows = np.flatnonzero(manifest.sizes >= min_sample_size)
        self.sizes = manifest.sizes[self.rows]
        self.seed = seed
        self.skip_unreadable = skip_unreadable
        # shared memory: loader workers outlive an epoch and must see the next one
        self._epoch = torch.ones(1, dtype=torch.int64).share_memory_()
        logger.info(f"{manifest.path}: {len(self.rows)} segments, {len(manifest) - len(self.rows)} too short")

    def set_epoch(self, epoch: int) -> None:
        """Choose the crops of this epoch."""
        self._epoch[0] = epoch

    def crop_start(self, index: int) -> int:
        """First sample of the crop of segment ``index`` in the present epoch."""
        spare = int(self.sizes[index]) - self.max_sample_size
        if spare <= 0:
            return 0
        return int(np.random.default_rng([self.seed, int(self._epoch), index]).integers(spare + 1))

    def __getitem__(self, index: int) -> dict[str, int | Tensor | None]:
        """``{"id": index, "source": (N,) float32}``; the source is None where it was skipped."""
        length = min(int(self.sizes[index]), self.max_sample_size)
        try:
            samples = self._read(index, self.crop_start(index), length)
        except AudioError as error:
            if not self.skip_unreadable:
                raise
            logger.warning(f"skipped: {error}")
            return {"id": index, "source": None}
        return {"id": index, "source": self.postprocess(torch.from_numpy(samples), self.sample_rate)}

    def crop_to_max_size(self, t: Tensor, target_size: int, dim: int = 0) -> Tensor:
        """Shorten an already random crop to the shortest of its batch: keep its beginning."""
        return t.narrow(dim, 0, min(target_size, t.size(dim)))

    def _read(self, index: int, start_samples: int, num_samples: int) -> FloatArray:
        for attempt in range(1, _ATTEMPTS):
            try:
                return self.manifest.read_crop(int(self.rows[index]), start_samples, num_samples)
            except AudioError as error:
                logger.warning(f"attempt {attempt} of {_ATTEMPTS}: {error}")
                time.sleep(0.5 * attempt)
        return self.manifest.read_crop(int(self.rows[index]), start_samples, num_samples)
