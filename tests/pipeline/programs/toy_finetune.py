"""The real training loop on a toy model and toy data: starts in seconds, so that tests can kill it often.

python toy_finetune.py output_dir=RUN max_steps=12 [key=value ...] [--kill-at-item EPOCH:INDEX] [--kill-in-sync N]
"""

import argparse
import os
import resource
import signal
import time
from functools import partialmethod
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import yaml
from safetensors.torch import save_file
from torch import nn

from rfcx_ssl import files
from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import AudioError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Crop, collate
from rfcx_ssl.labels.judged import Judged, JudgedBox
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.program import run_program
from rfcx_ssl.species import LabelSpace, SpeciesTable
from rfcx_ssl.training.learner import Parts, make_accelerator, seed_everything
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.trainer import fit
from rfcx_ssl.training.validation import RecordingScores, Validation

HOP, FRAMES, RATE = 8, 6, 80
CALLS = np.repeat(2 * np.eye(4)[:3], 2, axis=1).astype(np.float32)  # (3 species, HOP samples)
SPACE = LabelSpace(
    SpeciesTable.of_names(("frog", "bird", "bat")), ("frog", "bird", "bat"), (0, 1, 2), (None, None, None)
)


def _raise(error):
    raise error


# what may happen while a crop is made, most of it in a worker
FAULTS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "bug": lambda: _raise(ZeroDivisionError("a bug")),
    "audio": lambda: _raise(AudioError("/forest/a.flac: cannot be read")),
    "shm": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    "files": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())),) * 2),
    "stuck": lambda: time.sleep(1e6),
}


class ToyOutput(NamedTuple):
    frame_logits: torch.Tensor
    clip_logits: torch.Tensor
    activity_logits: torch.Tensor | None
    embedding: torch.Tensor


class ToyModel(nn.Module):
    """(B, N) -> logits on frames of HOP samples; norm and dropout are settings of the test."""

    def __init__(self, dropout=0.0, batch_norm=False, num_outputs=3):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(HOP, 12), nn.Tanh(), nn.Dropout(dropout))
        self.norm = nn.BatchNorm1d(12) if batch_norm else nn.Identity()
        self.head = nn.Linear(12, num_outputs)

    num_depths = 2  # the encoder and the head

    def freeze_below(self, depth):
        self.encoder.requires_grad_(depth == 0)

    def forward(self, waveform):
        frames = self.encoder(waveform.unflatten(1, (-1, HOP)))
        frames = self.norm(frames.transpose(1, 2)).transpose(1, 2)
        logits = self.head(frames)
        return ToyOutput(logits, logits.amax(dim=1), None, frames.mean(dim=1))

    def save_pretrained(self, folder, state_dict):
        save_file({name: value.contiguous() for name, value in state_dict.items()}, folder / "model.safetensors")


class ToyData:
    """Items are a function of (seed, epoch, index); a third of the cells is unknown, unevenly over clips."""

    def __init__(self, length=20, kill_at=None):
        self.length, self.kill_at, self.epoch = length, kill_at, 0

    def __len__(self):
        return self.length

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __getitem__(self, index):
        if self.kill_at and self.kill_at[:2] == (self.epoch, index):
            FAULTS[self.kill_at[2] if len(self.kill_at) > 2 else "kill"]()
        rng = np.random.default_rng([7, self.epoch, index])
        waveform = rng.normal(size=FRAMES * HOP).astype(np.float32)
        target = (rng.random((FRAMES, 3)) < 0.4).astype(np.float32)
        waveform += (target @ CALLS).ravel()
        known = (rng.random((FRAMES, 3)) < rng.random()).astype(np.float32)
        clip_known = known.max(axis=0)
        arrays = (waveform, target * known, known, (target * known).max(axis=0), clip_known)
        return Crop(*map(torch.from_numpy, arrays), torch.tensor(index))


def add_noise(batch, generator):
    noise = torch.randn(batch.waveform.shape, generator=generator, device=batch.waveform.device)
    return batch._replace(waveform=batch.waveform + 0.1 * noise)


class ToySource(dict):
    """Waveforms by recording id."""

    read = dict.__getitem__

    def frame_labels(self, recording_id, grid):
        return np.zeros((FRAMES, 3), np.float32), np.zeros((FRAMES, 3), np.float32)


def toy_boxes(truth):
    """One box of two frames for every species of every recording: heard, or ruled out."""
    return tuple(
        tuple(
            JudgedBox(s, s, 2 * s * HOP / RATE, (2 * s + 2) * HOP / RATE, bool(row[s]), np.arange(2 * s, 2 * s + 2))
            for s in range(3)
        )
        for row in truth
    )


def toy_validation(count=7, known=None, boxes=toy_boxes):
    rng = np.random.default_rng(3)
    truth = rng.random((count, 3)) < 0.5
    truth[:, 0] |= ~truth.any(axis=1)
    calls = np.tile(truth @ CALLS, FRAMES)
    source = ToySource(
        (f"rec{i}", (rng.normal(size=FRAMES * HOP) + calls[i]).astype(np.float32)) for i in range(count)
    )
    partly = rng.random((count, 3)) < 0.9

    def predict(model, waveform):
        output = model(torch.from_numpy(waveform)[None].to(next(model.parameters()).device))
        frame, clip = output.frame_logits[0].float().sigmoid(), output.clip_logits[0].float().sigmoid()
        return RecordingScores(frame.detach().cpu().numpy(), clip.detach().cpu().numpy())

    return Validation(
        Judged(tuple(source), truth, partly if known is None else known(truth), boxes(truth)),
        source,
        predict,
        prior=np.array([0.5, 0.3, 0.2], np.float32),
        space=SPACE,
        grid=FrameGrid(RATE, HOP),
    )


def toy_parts(
    *, seed=0, augment=True, validation=toy_validation, kill_at=None, loss=None, teacher_weight=0.0, **model
):
    seed_everything(seed, 0, 0)
    return Parts(
        model=ToyModel(**model),
        loss=build_loss(loss or LossSettings(), SPACE, teacher_weight=teacher_weight),
        augment=None,
        disturb=add_noise if augment else None,
        train_set=ToyData(kill_at=kill_at),
        collate=collate,
        sample_rate_hz=RATE,
        validation=validation and validation(),
        data_facts={"sha256": "toy"},
        fold=0,
    )


def toy_settings(*overrides, **values):
    """Small settings; ``overrides`` are key=value strings, nested by dots."""
    tree = {
        "batch_size": 4, "num_workers": 0, "log_every": 3, "save_every": 4, "trackers": [], "num_pictures": 0,
        "evaluation": {"every": 5, "select_metric": "lwlrap"}, "schedule": {"kind": "cosine", "warmup": 2},
        "optim": {"kind": "adamw"}, **values,
    }  # fmt: skip
    for override in overrides:
        key, value = override.split("=", 1)
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = yaml.safe_load(value)
    return check_settings(LoopSettings, tree, "toy")


def kill_in_sync(count):
    """SIGKILL this process in the ``count``-th fsync of a half-written checkpoint's files."""
    calls = 0
    original = files._sync

    def sync(path: Path) -> None:
        nonlocal calls
        calls += path.parent.name.startswith(".") and path.parent.parent.name == "checkpoints"
        if calls == count:
            os.kill(os.getpid(), signal.SIGKILL)
        original(path)

    files._sync = sync


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("overrides", nargs="+")
    parser.add_argument("--kill-at-item", type=lambda text: tuple(map(int, text.split(":"))))
    parser.add_argument("--fault-at-item", nargs=3, metavar=("EPOCH", "INDEX", "FAULT"))
    parser.add_argument("--kill-in-sync", type=int)
    parser.add_argument("--no-augment", action="store_true")
    parser.add_argument("--batch-norm", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--compile-backend", help="instead of inductor")
    args = parser.parse_intermixed_args()
    if args.compile_backend:
        nn.Module.compile = partialmethod(nn.Module.compile, backend=args.compile_backend)
    if args.kill_in_sync:
        kill_in_sync(args.kill_in_sync)
    settings = toy_settings(*args.overrides)
    fault = args.fault_at_item and (*map(int, args.fault_at_item[:2]), args.fault_at_item[2])
    parts = toy_parts(
        augment=not args.no_augment,
        kill_at=args.kill_at_item or fault,
        teacher_weight=settings.teacher_weight,
        dropout=args.dropout,
        batch_norm=args.batch_norm,
    )
    fit(settings, parts, make_accelerator(settings))


if __name__ == "__main__":
    run_program(main)
