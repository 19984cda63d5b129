"""A run from its first call to its final model, by every process of a launch."""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.finish import finish
from rfcx_ssl.training.parts import Parts
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.signals import StopRequest
from rfcx_ssl.training.trainer import Trainer


class Interrupted(RunError):
    """A signal stopped the run after a checkpoint; the same command goes on.

    The exit code is 128 + signal, as a shell has it, so that a script does not take the run for a finished one.
    """

    def __init__(self, step: int, number: int | None) -> None:
        super().__init__(f"stopped by a signal at step {step}; the same command goes on from there")
        self.exit_code = 128 + (number or signal.SIGTERM)  # None: another process was the one to get it


def fit(settings: LoopSettings, parts: Parts, accelerator: Accelerator) -> Path:
    """Train in ``settings.output_dir``: start it, resume it, or find it finished; returns the folder.

    Raises:
        RunError: the folder is in use, holds another run, or cannot be written.
        Interrupted: SIGTERM or SIGINT came; a checkpoint is written.
    """
    folder = RunFolder(Path(settings.output_dir))
    with contextlib.ExitStack() as stack:
        if accelerator.is_main_process:
            folder.create()
            stack.enter_context(folder.lock(settings.lock_timeout_s))
            folder.open(settings, run_facts(parts, accelerator))
        accelerator.wait_for_everyone()
        if folder.is_finished:
            accelerator.print(f"{folder.path}: already finished")
            return folder.path
        trainer = Trainer(settings, parts, accelerator, folder)
        try:
            with StopRequest() as stop:
                if not trainer.run(stop):
                    raise Interrupted(trainer.state.step, stop.signal)
            finish(trainer)
        finally:
            if trainer.journal is not None:
                trainer.journal.close()
    return folder.path


def run_facts(parts: Parts, accelerator: Accelerator) -> dict[str, Any]:
    """What run.json says about the model, the data and the machine."""
    parameters = list(parts.model.parameters())
    device = accelerator.device
    return {
        "data": dict(parts.data_facts),
        "fold": parts.fold,
        "train_crops_per_epoch": len(parts.train_set),
        "validation_recordings": 0 if parts.validation is None else len(parts.validation.recording_ids),
        "num_parameters": sum(p.numel() for p in parameters),
        "num_trainable_parameters": sum(p.numel() for p in parameters if p.requires_grad),
        "num_processes": accelerator.num_processes,
        "distributed_type": accelerator.distributed_type.value,
        "mixed_precision": accelerator.mixed_precision,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "cpu_threads": torch.get_num_threads(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }
