"""The task ``rainforest_audio_pretraining``: stock wav2vec 2.0 pretraining on crops that are read, not cut out of files.

``task.data`` holds ``train``/``valid`` as a virtual manifest (``.parquet``, rows point into the original recordings) or
in the prepared form (``.tsv``). Every random choice of the data and of the masks is a function of (seed, epoch, index)
or (seed, update, rank), so a run that was stopped and resumed equals one that never stopped.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from fairseq.data import data_utils
from fairseq.tasks import register_task
from fairseq.tasks.audio_pretraining import AudioPretrainingConfig, AudioPretrainingTask

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.virtual import find_split, load_virtual
from rfcx_ssl.pretraining.plugin.crops import ManifestCropDataset


@dataclass
class RainforestAudioPretrainingConfig(AudioPretrainingConfig):
    """Stock settings, and what to do with a recording that cannot be read."""

    skip_unreadable: bool = field(
        default=False,
        metadata={"help": "log an unreadable crop and leave it out of its batch, instead of stopping"},
    )


@register_task("rainforest_audio_pretraining", dataclass=RainforestAudioPretrainingConfig)
class RainforestAudioPretrainingTask(AudioPretrainingTask):
    """Audio pretraining on :class:`rfcx_ssl.pretraining.plugin.crops.ManifestCropDataset`."""

    def __init__(self, cfg: RainforestAudioPretrainingConfig) -> None:
        super().__init__(cfg)
        self._last_update = -1
        self._micro_step = 0

    def load_dataset(self, split: str, task_cfg: Any = None, **_kwargs: Any) -> None:  # noqa: ANN401
        """Open ``<task.data>/<split>.parquet`` or ``.tsv``."""
        cfg = task_cfg or self.cfg
        manifest = load_virtual(find_split(Path(self.cfg.data), split))
        if manifest.sample_rate_hz != self.cfg.sample_rate:
            raise ManifestError(
                f"{manifest.path}: made for {manifest.sample_rate_hz} Hz, but task.sample_rate={self.cfg.sample_rate}"
            )
        self.datasets[split] = ManifestCropDataset(
            manifest,
            seed=self.cfg.seed,
            max_sample_size=self.cfg.max_sample_size,
            min_sample_size=self.cfg.min_sample_size or 0,
            pad=cfg.enable_padding,
            normalize=cfg.normalize,
            skip_unreadable=self.cfg.skip_unreadable,
        )

    def train_step(
        self,
        sample: Any,  # noqa: ANN401 - fairseq's own types
        model: Any,  # noqa: ANN401
        criterion: Any,  # noqa: ANN401
        optimizer: Any,  # noqa: ANN401
        update_num: int,
        ignore_grad: bool = False,
    ) -> Any:  # noqa: ANN401
        """One forward and backward pass with masks drawn from (seed, update, pass within the update, rank)."""
        self._micro_step = self._micro_step + 1 if update_num == self._last_update else 0
        self._last_update = update_num
        with data_utils.numpy_seed(self.cfg.seed, update_num, self._micro_step, _rank()):
            return super().train_step(sample, model, criterion, optimizer, update_num, ignore_grad)


def _rank() -> int:
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_rank() if distributed else 0
