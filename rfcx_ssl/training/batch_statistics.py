"""Running statistics of batch norms, which move in every forward pass, even one that is to leave no trace."""

import torch
from torch import Tensor, nn


class BatchStatistics:
    """The running means, variances and counters of a module's batch norms; nothing where it has none."""

    def __init__(self, module: nn.Module) -> None:
        norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        self.buffers = [buffer for norm in norms for buffer in norm.buffers()]

    def copy(self) -> list[Tensor]:
        """What they are now."""
        return [buffer.clone() for buffer in self.buffers]

    def restore(self, copied: list[Tensor]) -> None:
        """Put back what :meth:`copy` gave."""
        if self.buffers:
            torch._foreach_copy_(self.buffers, copied)
