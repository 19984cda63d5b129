"""Optimizer and its parameter groups: encoder and new layers, layer-wise decay, no weight decay on norms and biases."""

from typing import Annotated, Any, Literal, assert_never

import torch
from torch import nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.settings import BY_KIND, settings
from rfcx_ssl.training.freezing import FreezeSettings


@settings
class OptimizerSettings:
    """What every optimizer has: one learning rate for the encoder and one for the layers that start from scratch."""

    kind: str
    encoder_lr: float = 1e-4
    head_lr: float = 1e-3
    weight_decay: float = 0.01
    layer_decay: float = 1.0  # the encoder layer d below the top learns at encoder_lr * layer_decay ** d
    freeze: FreezeSettings | None = None
    sam_radius: float = 0.0  # sharpness-aware minimisation (Foret et al. 2021): rho; 0 is off, costs a second pass

    def __post_init__(self) -> None:
        if self.encoder_lr < 0 or self.head_lr < 0 or self.weight_decay < 0 or self.sam_radius < 0:
            raise ValueError("encoder_lr, head_lr, weight_decay and sam_radius must be 0 or more")
        if not 0 < self.layer_decay <= 1:
            raise ValueError(f"layer_decay={self.layer_decay} must be in (0, 1]")


@settings
class AdamWSettings(OptimizerSettings):
    """AdamW (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    beta1: float = 0.9
    beta2: float = 0.98
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1 and beta2 must be in [0, 1), got {self.beta1} and {self.beta2}")
        if self.eps <= 0:
            raise ValueError(f"eps={self.eps} must be above 0")


@settings
class SgdSettings(OptimizerSettings):
    """Stochastic gradient descent with momentum; its rates are higher than AdamW's."""

    kind: Literal["sgd"] = "sgd"
    encoder_lr: float = 1e-2
    head_lr: float = 1e-1
    weight_decay: float = 1e-4
    momentum: float = 0.9
    nesterov: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} must be in [0, 1)")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov=true needs momentum above 0")


OptimSettings = Annotated[AdamWSettings | SgdSettings, BY_KIND]


def parameter_groups(model: nn.Module, optim: OptimizerSettings) -> list[dict[str, Any]]:
    """Groups of the trainable parameters, each with ``name``, ``peak_lr``, ``lr``, ``weight_decay``.

    Parameters named ``encoder.`` learn at ``encoder_lr``; with layer-wise decay, at a rate that falls with their
    distance to the encoder's top, as ``model.layer_depth(name)`` and ``model.num_depths`` tell. Tensors of fewer than
    two dimensions (norm scales, biases) and weight-norm magnitudes get no weight decay.
    """
    groups: dict[str, dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        is_encoder = name.startswith("encoder.")
        below_top = _layers_below_top(model, name) if is_encoder and optim.layer_decay < 1 else 0
        decays = parameter.ndim > 1 and not name.endswith("original0")  # original0: weight norm's magnitude g
        key = "/".join(["encoder" if is_encoder else "head", f"top-{below_top}", "decay" if decays else "no_decay"])
        peak_lr = optim.encoder_lr * optim.layer_decay**below_top if is_encoder else optim.head_lr
        group = groups.setdefault(
            key,
            {
                "params": [],
                "name": key,
                "peak_lr": peak_lr,
                "lr": peak_lr,
                "weight_decay": optim.weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    if not groups:
        raise ConfigError("model: no parameter is trainable")
    return list(groups.values())


def _layers_below_top(model: Any, name: str) -> int:  # noqa: ANN401 - any model with layer_depth
    if not hasattr(model, "layer_depth"):
        raise ConfigError("optim.layer_decay below 1 needs a model that knows its layers' depth")
    top_of_encoder = int(model.num_depths) - 2  # num_depths - 1 are the new layers
    return max(0, top_of_encoder - int(model.layer_depth(name)))


def build_optimizer(model: nn.Module, optim: OptimSettings, extra: object = None) -> torch.optim.Optimizer:
    """The optimizer of ``optim.kind`` over :func:`parameter_groups`, and the parameters of ``extra`` if it has any."""
    groups = parameter_groups(model, optim)
    if isinstance(extra, nn.Module) and (own := [p for p in extra.parameters() if p.requires_grad]):
        groups.append(
            {"params": own, "name": "loss", "peak_lr": optim.head_lr, "lr": optim.head_lr, "weight_decay": 0.0}
        )
    match optim:
        case AdamWSettings():
            return torch.optim.AdamW(groups, lr=optim.head_lr, betas=(optim.beta1, optim.beta2), eps=optim.eps)
        case SgdSettings():
            return torch.optim.SGD(groups, lr=optim.head_lr, momentum=optim.momentum, nesterov=optim.nesterov)
        case _:
            assert_never(optim)


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's rate to its peak times ``factor``."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor
