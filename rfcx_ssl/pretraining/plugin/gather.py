"""Let several CPU processes train together: fairseq gathers its log lines through CUDA buffers even without CUDA."""

import torch
from fairseq.distributed import utils as distributed_utils

_MAX_RANKS = 64
_MAX_BYTES = 1 << 16  # common.all_gather_list_size is 16384


def use_host_buffers() -> None:
    """Preset the buffers of ``all_gather_list`` in host memory where there is no GPU."""
    if torch.cuda.is_available():
        return
    gather = distributed_utils.all_gather_list
    gather._buffer = torch.zeros(_MAX_RANKS * _MAX_BYTES, dtype=torch.uint8)
    gather._cpu_buffer = torch.zeros(_MAX_BYTES, dtype=torch.uint8)
