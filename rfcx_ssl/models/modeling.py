"""One Hugging Face model class for every encoder: encoder, frame pooling, temporal layer, head."""

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedModel

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import ValidLengths, inside, pool_frames
from rfcx_ssl.models.head import SedHead
from rfcx_ssl.models.outputs import SedOutput
from rfcx_ssl.models.registry import read_settings
from rfcx_ssl.models.temporal import build_temporal
from rfcx_ssl.species.space import LabelSpace


class RainforestSedModel(PreTrainedModel):
    """Waveform (B, N) at ``config.sample_rate_hz`` -> :class:`SedOutput` on ``model.grid``."""

    config_class = RainforestSedConfig
    base_model_prefix = "sed"
    main_input_name = "waveform"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    _frozen_below = 0

    def __init__(self, config: RainforestSedConfig) -> None:
        super().__init__(config)
        if config.sed is None:
            raise ConfigError("the config has no model settings; make models with rfcx_ssl.models.build.build_model")
        settings = read_settings(config.sed)
        self.settings = settings
        self.encoder = settings.make_encoder(config)
        if self.encoder.sample_rate_hz != config.sample_rate_hz:
            raise ConfigError(
                f"config sample_rate_hz={config.sample_rate_hz}, but the encoder works at {self.encoder.sample_rate_hz}"
            )
        width = self.encoder.dim * (2 if settings.frame_pool > 1 else 1)
        self.temporal = build_temporal(settings.temporal, width)
        self._space = config.space  # made once: a config makes it anew at every look
        self.head = SedHead(settings.head, self.temporal.dim, self._space.num_outputs)
        self.post_init()  # type: ignore[no-untyped-call]
        self.freeze_below(0)

    @property
    def grid(self) -> FrameGrid:
        """The frames the model answers on."""
        return FrameGrid(self.encoder.sample_rate_hz, self.encoder.hop_samples * self.settings.frame_pool)

    @property
    def space(self) -> LabelSpace:
        """The model's K outputs and the species they stand for."""
        return self._space

    @property
    def embedding_dim(self) -> int:
        """D of ``SedOutput.embedding``."""
        return self.temporal.dim

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> SedOutput:
        """Score clips.

        Args:
            waveform: (B, N) float, mono, in [-1, 1], at ``config.sample_rate_hz``.
            lengths: (B,) real samples of each clip where the batch is padded at the end; None where all N are real.

        Returns:
            Logits on ``grid.num_frames(N)`` frames; frames beyond ``lengths`` mean nothing and are left out of
            ``clip_logits`` and ``embedding``.
        """
        num_frames = self.grid.num_frames(waveform.shape[1])
        pool = self.settings.frame_pool
        mask, valid = None, None
        if lengths is not None:
            frames = -(-lengths // self.grid.hop_samples)
            mask, valid = inside(frames, num_frames), ValidLengths(lengths, frames * pool)
        features = pool_frames(self.encoder(waveform, num_frames * pool, valid), pool)
        output: SedOutput = self.head(self.temporal(features, mask), mask)
        return output

    @property
    def num_depths(self) -> int:
        """One more than the depth of the head."""
        return self.encoder.num_depths + 1

    def layer_depth(self, name: str) -> int:
        """Depth of a parameter for layer-wise decay: 0 nearest the waveform, ``num_depths - 1`` for the new layers.

        ``name`` is as in ``named_parameters()``; temporal layer and head share the last depth.
        """
        if name.startswith("encoder."):
            return self.encoder.depth(name.removeprefix("encoder."))
        return self.num_depths - 1

    def freeze_below(self, depth: int) -> None:
        """Freeze parameters whose depth is below ``depth`` (0 frees all, ``num_depths - 1`` leaves the new layers).

        May be called at any time, so a schedule can thaw layer by layer. Frozen batch norms keep their statistics.
        """
        self._frozen_below = depth
        for name, parameter in self.named_parameters():
            used = not name.startswith("encoder.") or self.encoder.is_used(name.removeprefix("encoder."))
            parameter.requires_grad_(used and self.layer_depth(name) >= depth)
        self.encoder.on_freeze(depth)
        self.train(self.training)

    def train(self, mode: bool = True) -> "RainforestSedModel":
        """Set the mode; batch norms of frozen layers stay in evaluation mode."""
        super().train(mode)
        if mode and self._frozen_below:
            for name, module in self.named_modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.train(self.layer_depth(f"{name}.weight") >= self._frozen_below)
        return self

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Modules initialize themselves; a backbone from transformers uses its own rules."""


AutoConfig.register(RainforestSedConfig.model_type, RainforestSedConfig)
AutoModel.register(RainforestSedConfig, RainforestSedModel)
