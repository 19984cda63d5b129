"""SIGINT and SIGTERM: finish the update at hand, write checkpoint_last.pt, leave the training loop normally.

fairseq has no such hook, so its ``validate_and_save`` is wrapped: it is called after every update, and its second
result ends the loop. With several processes one flag is shared per update, so that all ranks stop at the same one.
"""

import atexit
import logging
import signal
from types import FrameType
from typing import Any

import torch
from fairseq import checkpoint_utils
from fairseq_cli import train as fairseq_train

logger = logging.getLogger("fairseq_cli.train")
_requested = False


def install_graceful_stop() -> None:
    """Take over both signals and wrap fairseq's end-of-update step; call once, in the main thread."""
    original = fairseq_train.validate_and_save

    def validate_and_save(
        cfg: Any,  # noqa: ANN401 - fairseq's own types
        trainer: Any,  # noqa: ANN401
        task: Any,  # noqa: ANN401
        epoch_itr: Any,  # noqa: ANN401
        *rest: Any,  # noqa: ANN401
    ) -> tuple[list[float | None], bool]:
        if not _all_ranks_agree():
            return original(cfg, trainer, task, epoch_itr, *rest)
        logger.info(f"stop requested: saving at {trainer.get_num_updates()} updates")
        checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        return [None], True

    fairseq_train.validate_and_save = validate_and_save
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request)
        # a signal that arrives while the interpreter closes would otherwise end a good run with an error
        atexit.register(signal.signal, number, signal.SIG_IGN)


def _request(_number: int, _frame: FrameType | None) -> None:
    global _requested
    _requested = True


def _all_ranks_agree() -> bool:
    """True on every rank as soon as any rank was asked to stop."""
    distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
    if not distributed or torch.distributed.get_world_size() == 1:
        return _requested
    on_gpu = torch.distributed.get_backend() == "nccl"
    flag = torch.tensor([float(_requested)], device="cuda" if on_gpu else "cpu")
    torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
    return bool(flag.item() > 0)
