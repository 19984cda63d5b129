"""Fine-tuning with Accelerate: the loop, exact resume, cross-validation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rfcx_ssl.training.run import TrainSettings, train

__all__ = ["TrainSettings", "train"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the two names above
    """Import the training stack only where it is used: loading it takes seconds."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rfcx_ssl.training import run

    return getattr(run, name)
