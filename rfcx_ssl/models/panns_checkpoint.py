"""Load the published PANNs checkpoints (``{"model": state_dict}``) into our models, without unpickling code."""

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rfcx_ssl.errors import CheckpointError, first_line
from rfcx_ssl.models.head import SedHead
from rfcx_ssl.models.panns import PannsEncoder

logger = logging.getLogger(__name__)

# the sampler's state lies beside the weights as plain numpy arrays; nothing else is let through
_RECONSTRUCT = np.empty(0).__reduce__()[0]  # numpy's own rebuilding functions, old and new name
_SCALAR = np.float64(0).__reduce__()[0]
_NUMPY_GLOBALS: list[Any] = [
    (_RECONSTRUCT, "numpy.core.multiarray._reconstruct"),
    (_SCALAR, "numpy.core.multiarray.scalar"),
    _RECONSTRUCT,
    _SCALAR,
    np.ndarray,
    np.dtype,
    *(type(np.dtype(name)) for name in ("int32", "int64", "float32", "float64", "bool", "uint32", "str")),
]
# front-end constants, recomputed here; classes and what only the published training uses
_NOT_WEIGHTS = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.", "att_block.")


def read_panns_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a published ``.pth`` file (or a bare state dict), safely loaded on the CPU."""
    try:
        with torch.serialization.safe_globals(_NUMPY_GLOBALS):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"model.checkpoint={path}: no such file") from None
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"model.checkpoint={path}: not a loadable PyTorch file ({first_line(error)})") from None
    state = content.get("model", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"model.checkpoint={path}: holds no state dict under 'model'")
    return state


def load_panns_encoder(encoder: PannsEncoder, state: dict[str, Tensor], source: str) -> None:
    """Copy the weights of all layers but the classes; a missing or misshapen tensor is an error.

    With another number of mel bands the per-band normalisation ``bn0`` is interpolated over the mel axis.
    """
    wanted = {key: value for key, value in encoder.state_dict().items() if not key.startswith("mel.")}
    given = {key: value for key, value in state.items() if not key.startswith(_NOT_WEIGHTS)}
    for key in sorted(wanted):
        if key.startswith("bn0.") and key in given and given[key].shape != wanted[key].shape:
            given[key] = _resample_bands(given[key], len(wanted[key]))
            logger.info("%s: %s interpolated to %d mel bands", source, key, len(wanted[key]))
    first = "conv_block1.conv1.weight"
    if encoder.settings.frequency_channel and first in given:
        given[first] = F.pad(given[first], (0, 0, 0, 0, 0, 1))  # the new channel starts without influence
    missing = sorted(set(wanted) - set(given))
    extra = sorted(set(given) - set(wanted))
    if missing or extra:
        raise CheckpointError(
            f"{source}: does not fit model.channels={encoder.settings.channels}; missing "
            f"{missing[0] if missing else 'nothing'}, not wanted {extra[0] if extra else 'nothing'}"
        )
    for key, value in wanted.items():
        if given[key].shape != value.shape:
            raise CheckpointError(f"{source}: {key} has shape {tuple(given[key].shape)}, need {tuple(value.shape)}")
    encoder.load_state_dict(given, strict=False)


def load_panns_classes(head: SedHead, state: dict[str, Tensor], source: str) -> None:
    """Copy the published class layer (decision-level max: ``fc_audioset``; attention: ``att_block``) too.

    For checks against the published outputs, or for a model of the same classes.
    """
    named = {"classify": "fc_audioset", "pooling.attention": ""}
    if "att_block.cla.weight" in state:
        named = {"classify": "att_block.cla", "pooling.attention": "att_block.att"}
    ours = head.state_dict()
    for module, published in named.items():
        if f"{module}.weight" not in ours or not published:
            continue
        for kind in ("weight", "bias"):
            value = state[f"{published}.{kind}"].squeeze(-1)  # (K, D, 1) 1x1 convolution -> (K, D)
            if value.shape != ours[f"{module}.{kind}"].shape:
                raise CheckpointError(
                    f"{source}: {published}.{kind} is {tuple(value.shape)}, the model's {module}.{kind} "
                    f"{tuple(ours[f'{module}.{kind}'].shape)}"
                )
            ours[f"{module}.{kind}"] = value
    head.load_state_dict(ours)


def _resample_bands(values: Tensor, num_bands: int) -> Tensor:
    """(n,) values per mel band -> (num_bands,), linear between band centres."""
    return F.interpolate(values[None, None].float(), size=num_bands, mode="linear", align_corners=True)[0, 0]
