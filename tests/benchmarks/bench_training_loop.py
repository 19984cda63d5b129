"""What our training loop costs beside a bare PyTorch loop: same model, same loss, same synthetic crops in memory.

Usage: python tests/benchmarks/bench_training_loop.py [--steps N] [--rounds N] [--threads N] [--model small|tiny]

The bare loop is what one would write by hand: DataLoader, forward, loss, backward, clip, AdamW, learning rate, nothing
else. Both must first end in the same weights. Then they take turns, so that a busy machine disturbs both alike; the
time of a step is taken from one step's start to the next one's, logging included, wall clock and CPU time of the
process (which another program on the machine hardly moves). Prints one JSON line per loop, then the overhead.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from itertools import islice, pairwise
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from rfcx_ssl.config import check_settings
from rfcx_ssl.labels import Crop, collate
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.species import label_space, rfcx_species
from rfcx_ssl.training.learner import Parts, make_accelerator, seed_everything
from rfcx_ssl.training.optim import AdamWSettings, build_optimizer, set_learning_rates
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.sampler import KeyedDataset, StepSampler
from rfcx_ssl.training.schedule import CosineScheduleSettings, learning_rate_factor
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.signals import StopRequest
from rfcx_ssl.training.trainer import Trainer

SPACE = label_space(rfcx_species())
MODELS = {
    "small": ({"channels": [16, 32, 64, 128], "time_pools": [2, 2, 2, 1], "freq_pools": [2, 2, 2, 2]}, 80_000, 16),
    "tiny": ({"channels": [8, 8], "time_pools": [2, 2], "freq_pools": [2, 2]}, 16_000, 4),
}


class Crops:
    """Random crops, made once."""

    def __init__(self, grid, samples, count=64):
        generator = torch.Generator().manual_seed(0)
        frames = grid.num_frames(samples)
        self.items = []
        for index in range(count):
            target = (torch.rand(frames, SPACE.num_outputs, generator=generator) < 0.1).float()
            known = (torch.rand(frames, SPACE.num_outputs, generator=generator) < 0.3).float()
            waveform = 0.1 * torch.randn(samples, generator=generator)
            clip = ((target * known).amax(0), known.amax(0))
            self.items.append(Crop(waveform, target * known, known, *clip, torch.tensor(index)))

    def __len__(self):
        return len(self.items)

    def set_epoch(self, epoch):
        pass

    def __getitem__(self, index):
        return self.items[index]


class Stopwatch:
    """Wall and CPU time at the start of every step."""

    def __init__(self):
        self.marks = []

    def __call__(self, batch, generator=None):
        self.marks.append((time.perf_counter(), time.process_time()))
        return batch

    def steps(self, warmup=3):
        """Wall and CPU seconds of every step after the first few."""
        marks = self.marks[warmup:]
        return [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(marks)]


def make_model(name):
    seed_everything(0, 0, 0)
    values, samples, batch_size = MODELS[name]
    settings = {"mel": {"hop_samples": 640}, "embedding_dim": 64, "block_dropout": 0.0, "embedding_dropout": 0.0}
    model = build_model(check_settings(PannsSettings, {**settings, **values}, "model"), SPACE)
    model.head.dropout.p = 0.0
    return model, Crops(model.grid, samples), batch_size


def bare(name, steps):
    """The loop by hand."""
    model, crops, batch_size = make_model(name)
    loss, watch = build_loss(LossSettings(), SPACE), Stopwatch()
    schedule, optim = CosineScheduleSettings(), AdamWSettings()
    optimizer = build_optimizer(model, optim)
    sampler = StepSampler(num_items=64, batch_size=batch_size, accumulation=1, rank=0, num_processes=1, seed=0)
    loader = DataLoader(KeyedDataset(crops), batch_sampler=sampler, collate_fn=collate)
    model.train()
    for step, batch in enumerate(islice(loader, steps)):
        watch(batch)
        set_learning_rates(optimizer, learning_rate_factor(step, steps, schedule))
        value = loss(model(batch.waveform), batch)["loss"]
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % 10 == 9:
            value.item()
    return model, watch.steps()


def ours(name, steps):
    """The shipped loop, with its log and TensorBoard every 10 steps; no evaluation and no checkpoint."""
    model, crops, batch_size = make_model(name)
    watch = Stopwatch()
    parts = Parts(
        model=model, loss=build_loss(LossSettings(), SPACE), augment=watch, train_set=crops, collate=collate,
        sample_rate_hz=model.grid.sample_rate_hz, validation=None,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder(Path(folder))
        values = {"output_dir": folder, "max_steps": steps, "batch_size": batch_size, "num_workers": 0}
        settings = check_settings(LoopSettings, {**values, "save_every": 10**9}, "bench")
        run.open(settings, {"data": {}})
        trainer = Trainer(settings, parts, make_accelerator(settings), run)
        trainer.checkpoints.save = lambda state, tensors: None
        trainer.run(StopRequest())
        trainer.journal.close()
    return model, watch.steps()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", choices=MODELS, default="small")
    args = parser.parse_args()
    os.environ["ACCELERATE_USE_CPU"] = "true"
    torch.set_num_threads(args.threads)
    loops = {"bare": bare, "ours": ours}
    weights = {key: loop(args.model, 6)[0].state_dict() for key, loop in loops.items()}
    for key, value in weights["bare"].items():
        torch.testing.assert_close(weights["ours"][key], value, rtol=1e-4, atol=1e-5)
    times = {key: [] for key in loops}
    for _ in range(args.rounds):
        for key, loop in loops.items():
            times[key] += loop(args.model, args.steps)[1]
    medians = {}
    for key, values in times.items():
        medians[key] = [1000 * statistics.median(column) for column in zip(*values, strict=True)]
        print(json.dumps({"loop": key, "model": args.model, "steps": len(values), "threads": args.threads,
                          "wall_ms": round(medians[key][0], 3), "cpu_ms": round(medians[key][1], 3)}))  # fmt: skip
    wall, cpu = (o / b - 1 for o, b in zip(medians["ours"], medians["bare"], strict=True))
    print(json.dumps({"overhead_wall": round(wall, 4), "overhead_cpu": round(cpu, 4)}))


if __name__ == "__main__":
    main()
