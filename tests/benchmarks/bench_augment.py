"""The standard augmentation chain on 32 crops of 5 s at 32 kHz: ours, a numpy loop, and torch-audiomentations.

Usage: python tests/benchmarks/bench_augment.py [--threads N] [--rounds N] [--device cpu|cuda] [--skip-step]

First every way must give the same answers where they can be compared: gain, polarity and shift sample by sample, noise
by its slope and its ratio. Then they take turns, so that a busy machine disturbs all alike. Prints one JSON line per
way (medians over the rounds) and the ratios; then the share of the demo chain in a training step of the demo CNN.
torch-audiomentations does less: its Shift cannot move labels, so it gets none, and its noise repeats every second.
"""

import argparse
import json
import time
import warnings

import colorednoise
import numpy as np
import torch
from scipy.signal import welch

from rfcx_ssl.augment import AugmentSettings, build_augment
from rfcx_ssl.augment.mixup import MixupAugmentation
from rfcx_ssl.config import check_settings, load_settings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torch_audiomentations as ta
    from torch_audiomentations.augmentations.mix import Mix

RATE_HZ, HOP, SIZE, SAMPLES = 32_000, 640, 32, 160_000
GRID, SPACE = FrameGrid(RATE_HZ, HOP), label_space(rfcx_species())
LABELS = {"coverage": 0.5, "edge_tolerance_s": 0.1}  # as in configs/finetune/data


def make_batch(size=SIZE, samples=SAMPLES, grid=GRID, device="cpu"):
    """Noise crops with random three-state labels."""
    generator = torch.Generator().manual_seed(0)
    frames, outputs = grid.num_frames(samples), SPACE.num_outputs
    known = (torch.rand(size, frames, outputs, generator=generator) < 0.3).float()
    target = (torch.rand(size, frames, outputs, generator=generator) < 0.1).float() * known
    waveform = 0.1 * torch.randn(size, samples, generator=generator)
    fields = waveform, target, known, target.amax(1), known.amax(1), torch.arange(size)
    return Batch(*(field.to(device) for field in fields))


def chain_of(name, overrides=(), device="cpu"):
    """Our chain from a shipped configuration."""
    config = load_settings(AugmentSettings, "finetune/augment", name, list(overrides))
    return build_augment(config, GRID, SPACE, **LABELS).to(device)


def only(name, **values):
    """Our chain with one transform, on every crop."""
    return build_augment(
        check_settings(AugmentSettings, {name: {"p": 1.0, **values}}, "augment"), GRID, SPACE, **LABELS
    )


class LoopChain:
    """What one would write with numpy and colorednoise: one crop after the other."""

    def __init__(self, config, seed=0):
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.quantiles = MixupAugmentation(config.mixup)

    def __call__(self, batch):
        """Augment a batch given as numpy arrays."""
        done = [self.crop(batch, crop) for crop in range(len(batch[0]))]
        return [np.stack(field) for field in zip(*done, strict=True)]

    def crop(self, batch, crop):
        """Shift, mix, add noise, change gain and sign of one crop, each by its own coin."""
        config, rng = self.config, self.rng
        waveform, *labels = (field[crop] for field in batch[:5])
        if rng.random() < config.shift.p:
            frames = int(config.shift.max_shift_s * RATE_HZ) // HOP
            step = int(rng.integers(-frames, frames + 1))
            waveform = np.roll(waveform, step * HOP)
            labels[:2] = [np.roll(field, step, axis=0) for field in labels[:2]]
        if rng.random() < config.mixup.p:
            waveform, labels = self.mix(waveform, labels, batch, int(rng.integers(len(batch[0]))))
        if rng.random() < config.pink_noise.p:
            snr_db = rng.uniform(config.pink_noise.snr_min_db, config.pink_noise.snr_max_db)
            waveform = add_pink(waveform, snr_db, rng)
        if rng.random() < config.gain.p:
            waveform = waveform * np.float32(10 ** (rng.uniform(config.gain.min_db, config.gain.max_db) / 20))
        if rng.random() < config.polarity.p:
            waveform = -waveform
        return waveform, *labels

    def mix(self, waveform, labels, batch, other):
        """Mixup with union labels."""
        share = np.clip(self.rng.beta(self.config.mixup.alpha, self.config.mixup.alpha), 0.2, 0.8)
        partner = batch[0][other]
        level = np.sqrt((waveform**2).mean() / (partner**2).mean())
        mixed = np.float32(share) * waveform + np.float32((1 - share) * level) * partner
        pairs = (
            (labels[0], labels[1], batch[1][other], batch[2][other]),
            (*labels[2:], batch[3][other], batch[4][other]),
        )
        merged = []
        for one_target, one_known, two_target, two_known in pairs:
            known = np.maximum(np.minimum(one_known, two_known), np.maximum(one_target, two_target))
            merged += [np.maximum(one_target, two_target) * known, known]
        return mixed, merged


def add_pink(waveform, snr_db, rng, exponent=1.0):
    """One crop with noise from the colorednoise package at a ratio measured against the crop."""
    noise = colorednoise.powerlaw_psd_gaussian(exponent, len(waveform), fmin=20 / RATE_HZ, random_state=rng)
    scale = np.sqrt((waveform**2).mean() / (noise**2).mean()) * 10 ** (-snr_db / 20)
    return waveform + (scale * noise).astype(np.float32)


def audiomentations(config):
    """The nearest equivalents; f_decay is an amplitude exponent there, so pink is 0.5."""
    shift, noise = config.shift.max_shift_s, config.pink_noise
    common = {"sample_rate": RATE_HZ, "output_type": "dict"}
    return ta.Compose(
        [
            ta.Shift(-shift, shift, shift_unit="seconds", rollover=True, p=config.shift.p, **common),
            Mix(0.0, 12.0, p=config.mixup.p, **common),
            ta.AddColoredNoise(noise.snr_min_db, noise.snr_max_db, 0.5, 0.5, p=noise.p, **common),
            ta.Gain(config.gain.min_db, config.gain.max_db, p=config.gain.p, **common),
            ta.PolarityInversion(p=config.polarity.p, **common),
        ],
        output_type="dict",
    )


def slope_and_snr(clean, mixed):
    """Exponent of the added noise's power spectrum from 100 Hz to 14 kHz, and the achieved ratios in dB."""
    noise = mixed.astype(np.float64) - clean
    frequency, density = welch(noise, RATE_HZ, nperseg=8192)
    band = (frequency > 100) & (frequency < 14_000)
    weight = 1 / np.sqrt(frequency[band])  # octaves count alike
    slope = np.polyfit(np.log10(frequency[band]), np.log10(density[:, band].mean(0)), 1, w=weight)[0]
    return slope, 10 * np.log10((clean.astype(np.float64) ** 2).mean(1) / (noise**2).mean(1))


def prove_equal(batch):
    """Raise where the three ways do not do the same thing."""
    clean, rng = batch.waveform.numpy(), np.random.default_rng(0)
    dry = {"p": 1.0, "sample_rate": RATE_HZ, "output_type": "dict"}

    def theirs(transform):
        return transform(samples=batch.waveform[:, None].clone(), sample_rate=RATE_HZ)["samples"][:, 0].numpy()

    gain = only("gain", min_db=-6.0, max_db=-6.0)(batch).waveform.numpy()
    np.testing.assert_allclose(gain, clean * 10 ** (-6 / 20), atol=1e-6)
    np.testing.assert_allclose(gain, theirs(ta.Gain(-6.0, -5.99999, **dry)), atol=2e-6)  # it wants a range
    np.testing.assert_array_equal(only("polarity")(batch).waveform.numpy(), theirs(ta.PolarityInversion(**dry)))
    shift = only("shift")
    draws = {"shift": {"rows": torch.arange(SIZE), "shift_frames": torch.full((SIZE,), 7)}}
    rolled = shift.transform(batch, draws).waveform.numpy()
    np.testing.assert_array_equal(rolled, np.roll(clean, 7 * HOP, axis=1))
    np.testing.assert_array_equal(rolled, theirs(ta.Shift(7 * HOP, 7 * HOP, shift_unit="samples", **dry)))
    ways = {
        "rfcx_ssl": only("pink_noise", snr_min_db=10.0, snr_max_db=10.0)(batch).waveform.numpy(),
        "numpy loop": np.stack([add_pink(crop, 10.0, rng) for crop in clean]),
        "torch-audiomentations": theirs(ta.AddColoredNoise(10.0, 10.0, 0.5, 0.5, **dry)),
    }
    for name, mixed in ways.items():
        slope, snr_db = slope_and_snr(clean, mixed)
        error_db = np.abs(snr_db - 10).max()
        print(
            json.dumps(
                {
                    "check": "pink noise",
                    "name": name,
                    "slope": round(slope, 3),
                    "snr_error_db": float(f"{error_db:.1g}"),
                }
            )
        )
        if name != "torch-audiomentations" and (abs(slope + 1) > 0.1 or error_db > 0.1):
            raise SystemExit(f"{name}: slope {slope:.3f} instead of -1, or ratio off by {error_db:.3f} dB")


def take_turns(ways, rounds, device):
    """(rounds, 2) wall and CPU seconds of each way over interleaved rounds, after two rounds of warm-up."""
    seconds = {name: [] for name in ways}
    for number in range(rounds + 2):
        for name, way in ways.items():
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter(), time.process_time()
            way()
            if device == "cuda":
                torch.cuda.synchronize()
            if number >= 2:
                seconds[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return {name: np.array(values) for name, values in seconds.items()}


def report(kind, seconds, reference):
    """One JSON line per way: medians of the rounds and of the rounds' own ratios to the reference."""
    for name, values in seconds.items():
        low, middle, high = np.percentile(values[:, 0], [25, 50, 75]) * 1e3
        line = {"bench": kind, "name": name, "median_ms": round(middle, 1), "iqr_ms": round(high - low, 1)}
        line["cpu_ms"] = round(float(np.median(values[:, 1])) * 1e3, 1)
        wall, cpu = np.median(values / seconds[reference], axis=0)
        print(json.dumps({**line, f"times_{reference}": round(float(wall), 2), "times_cpu": round(float(cpu), 2)}))


def bench_chain(args):
    """The standard chain, three ways."""
    config = load_settings(AugmentSettings, "finetune/augment", "standard")
    batch = make_batch(device=args.device)
    arrays = [field.cpu().numpy() for field in batch]
    chain, loop, theirs = chain_of("standard", device=args.device), LoopChain(config), audiomentations(config)
    generator = torch.Generator(args.device).manual_seed(0)
    ways = {
        "rfcx_ssl": lambda: chain(batch, generator),
        "numpy loop": lambda: loop(arrays),
        "torch-audiomentations": lambda: theirs(samples=batch.waveform[:, None], sample_rate=RATE_HZ),
    }
    report("standard chain", take_turns(ways, args.rounds, args.device), "rfcx_ssl")
    for name in chain.transforms:
        single = only(name).to(args.device)
        single.transforms[name].p = chain.transforms[name].p
        seconds = take_turns(
            {name: lambda single=single: single(batch, generator)}, max(3, args.rounds // 3), args.device
        )
        report("single transform", seconds, name)


def bench_step(args):
    """The demo chain's share of a training step (forward, loss, backward, AdamW) of the small CNN of the demo."""
    model = build_model(load_settings(PannsSettings, "finetune/model", "panns_demo"), SPACE).to(args.device).train()
    samples = int(model.config.window_samples)
    batch = make_batch(16, samples, model.grid, args.device)
    config = load_settings(AugmentSettings, "finetune/augment", "demo")
    chain = build_augment(config, model.grid, SPACE, **LABELS).to(args.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    generator = torch.Generator(args.device).manual_seed(0)

    def step():
        logits = model(batch.waveform).frame_logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.target, batch.known)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    ways = {"augmentation": lambda: chain(batch, generator), "step without augmentation": step}
    seconds = take_turns(ways, max(5, args.rounds // 3), args.device)
    report(f"demo step, {len(batch.waveform)} x {samples / RATE_HZ:g} s", seconds, "step without augmentation")


def main():
    """Parse, prove, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--skip-step", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(json.dumps({"torch": torch.__version__, "threads": args.threads, "device": args.device}))
    prove_equal(make_batch())
    bench_chain(args)
    if not args.skip_step:
        bench_step(args)


if __name__ == "__main__":
    main()
