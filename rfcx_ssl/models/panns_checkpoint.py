"""Load the published PANNs checkpoints (``{"model": state_dict}``) into our encoder, without unpickling code."""

import logging
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.inert import load_inert

logger = logging.getLogger(__name__)

# front-end constants, recomputed here; classes and what only the published training uses
_NOT_WEIGHTS = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.", "att_block.")
_FIRST = "conv_block1.conv1.weight"


def read_panns_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a published ``.pth`` file (or a bare state dict); the sampler's state beside them is left out."""
    content = load_inert(path, f"model.checkpoint={path}")
    state = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"model.checkpoint={path}: holds no state dict under 'model'")
    return state


def load_panns_encoder(encoder: nn.Module, state: dict[str, Tensor], source: str) -> None:
    """Copy the weights of all layers but the classes; a missing or misshapen tensor is an error.

    With another number of mel bands the per-band normalization ``bn0`` is interpolated over the mel axis, and a second
    input channel (``frequency_channel``) starts without influence.
    """
    wanted = {key: value for key, value in encoder.state_dict().items() if not key.startswith("mel.")}
    given = {key: value for key, value in state.items() if not key.startswith(_NOT_WEIGHTS)}
    missing = sorted(set(wanted) - set(given))
    extra = sorted(set(given) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{source}: does not fit model.channels and model.convs_per_block; missing "
            f"{missing[0] if missing else 'nothing'}, not wanted {extra[0] if extra else 'nothing'}"
        )
    for key in sorted(wanted):
        if key.startswith("bn0.") and given[key].shape != wanted[key].shape:
            given[key] = _resample_bands(given[key], len(wanted[key]))
            logger.info("%s: %s interpolated to %d mel bands", source, key, len(wanted[key]))
    if wanted[_FIRST].shape[1] == given[_FIRST].shape[1] + 1:
        given[_FIRST] = F.pad(given[_FIRST], (0, 0, 0, 0, 0, 1))
    for key, value in wanted.items():
        if given[key].shape != value.shape:
            raise CheckpointError(f"{source}: {key} has shape {tuple(given[key].shape)}, need {tuple(value.shape)}")
    encoder.load_state_dict(given, strict=False)


def _resample_bands(values: Tensor, num_bands: int) -> Tensor:
    """(n,) values per mel band -> (num_bands,), linear between band centers."""
    return F.interpolate(values[None, None].float(), size=num_bands, mode="linear", align_corners=True)[0, 0]
