"""A copy of a model that says the same and is faster on a CPU; the model itself stays what its checkpoint says."""

import copy

import torch
from torch import nn
from torch.nn.utils import convert_conv2d_weight_memory_format
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rfcx_ssl.inference.winograd import WinogradConv, gains
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.panns import ConvBlock


def quick_copy(model: RainforestSedModel) -> RainforestSedModel:
    """A copy with batch norms folded into convolutions, channels last and quick 3x3 convolutions; equal scores to rounding.

    For scoring alone: it must never be saved or trained. All tensors but the weights of those convolutions are the model's own.
    A model without such blocks is answered itself.
    """
    if not any(isinstance(module, ConvBlock) for module in model.modules()):
        return model
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    quick = copy.deepcopy(model, shared)
    for module in quick.modules():
        if isinstance(module, ConvBlock):
            _fold(module, "conv1", "bn1")
            if module.conv2 is not None:
                _fold(module, "conv2", "bn2")
    return quick


@torch.no_grad()
def _fold(block: ConvBlock, conv_name: str, norm_name: str) -> None:
    conv: nn.Conv2d = fuse_conv_bn_eval(getattr(block, conv_name), getattr(block, norm_name))
    quick = WinogradConv(conv) if gains(conv) else convert_conv2d_weight_memory_format(conv, torch.channels_last)
    setattr(block, conv_name, quick.requires_grad_(False))
    setattr(block, norm_name, nn.Identity())
