"""wav2vec 2.0 on log-mel beside raw-wave wav2vec 2.0 (pretraining) and beside the CNN (fine-tuning, detection).

Usage: python tests/benchmarks/bench_mel.py [--rounds N] [--skip-base]

Pretraining: fairseq's own models as configs/pretrain describes them, same transformer, same crops, contrastive loss,
backward and Adam step; first the log-mel model in fairseq and in transformers must give equal outputs. The log-mel
model makes 25 frames a second where raw-wave makes 50; a third row gives it 50, so that one sees what is the
extractor's share and what the frames'. Fine-tuning and detection: the models of the demo, 2.5 s crops and windows.
CPU seconds of one thread, taken in turns; prints one JSON line per way (median over the rounds) and the ratios.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers.utils.logging import disable_progress_bar

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
from rfcx_ssl.pretraining.convert import feature_extractor, to_transformers
from rfcx_ssl.pretraining.parity import build_fairseq_model, prove_parity
from rfcx_ssl.pretraining.preflight import compose_pretraining
from rfcx_ssl.species import label_space, rfcx_species

RATE_HZ = 32_000
MEL_50 = {"time_strides": [2, 1, 1]}  # 50 frames/s


def cpu_s(run: Callable[[], object]) -> float:
    """CPU seconds of ``run``."""
    start = time.process_time()
    run()
    return time.process_time() - start


def in_turns(ways: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of every way in every round, after one round that warms up."""
    turns = [{name: cpu_s(run) for name, run in ways.items()} for _ in range(rounds + 1)][1:]
    return {name: [turn[name] for turn in turns] for name in ways}


def fairseq_checkpoint(name: str, extractor: Mapping[str, Any]) -> FairseqCheckpoint:
    """A shipped pretraining config with random weights."""
    config = compose_pretraining(config_root() / "pretrain", name, ["task.data=nowhere"])
    model = config["model"]
    if extractor:
        model["mel_extractor"] |= extractor
    empty = FairseqCheckpoint(Path(name), "", {}, model, config["task"], 0)
    weights = build_fairseq_model(empty).state_dict()
    return FairseqCheckpoint(Path(name), "", dict(weights), model, config["task"], 0)


def pretraining_step(model: nn.Module, waveform: torch.Tensor) -> Callable[[], None]:
    """Forward, contrastive loss with the extra losses, backward, optimizer step."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    network: Any = model

    def step() -> None:
        optimizer.zero_grad()
        output = network(waveform, padding_mask=None)
        logits, target = network.get_logits(output).float(), network.get_targets(None, output)
        loss = F.cross_entropy(logits, target, reduction="sum") + sum(network.get_extra_losses(output))
        loss.backward()
        optimizer.step()

    return step


def pretraining_rows(size: str, crops: int, crop_s: float, rounds: int) -> Iterator[dict[str, object]]:
    """Audio seconds per CPU second of a pretraining step, and the ratios to raw-wave."""
    mel, raw = f"wav2vec2_mel_{size}_32k", f"wav2vec2_{size}_32k"
    checkpoint = fairseq_checkpoint(mel, {})
    report = prove_parity(checkpoint, to_transformers(checkpoint))
    if not report["passed"]:
        raise SystemExit(f"fairseq and transformers differ: {report}")
    yield {"size": size, "parity": report["max_abs_difference_last_hidden_state"]}
    waveform = 0.05 * torch.randn(crops, round(crop_s * RATE_HZ))
    models = {
        "raw-wave, 50 frames/s": build_fairseq_model(fairseq_checkpoint(raw, {})),
        "log-mel, 25 frames/s": build_fairseq_model(checkpoint),
        "log-mel, 50 frames/s": build_fairseq_model(fairseq_checkpoint(mel, MEL_50)),
    }
    times = in_turns({name: pretraining_step(model, waveform) for name, model in models.items()}, rounds)
    yield from rows(f"pretraining, {size}", times, crops * crop_s, "raw-wave, 50 frames/s")


def finetuning_rows(rounds: int) -> Iterator[dict[str, object]]:
    """The demo's log-mel model and CNN: a training step of 16 crops, and hearing one minute in windows."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = fairseq_checkpoint("wav2vec2_mel_demo_32k", {})
        to_transformers(checkpoint).save_pretrained(folder)
        feature_extractor(checkpoint).save_pretrained(folder)
        settings = {
            "CNN": load_settings(ModelSettings, "finetune/model", "panns_demo", []),
            "log-mel wav2vec 2.0": load_settings(
                ModelSettings, "finetune/model", "wav2vec2_mel_demo", [f"encoder={folder}"]
            ),
        }
        models = {name: build_model(own, label_space(rfcx_species())) for name, own in settings.items()}
    crops, minute = 0.05 * torch.randn(16, round(2.5 * RATE_HZ)), 0.05 * torch.randn(24, round(2.5 * RATE_HZ))

    def train(model: nn.Module) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)

        def step() -> None:
            model.train()
            optimizer.zero_grad()
            output = model(crops)
            (output.frame_logits.square().mean() + output.clip_logits.square().mean()).backward()
            optimizer.step()

        return step

    def detect(model: nn.Module) -> Callable[[], None]:
        @torch.inference_mode()
        def run() -> None:
            model.eval()(minute)

        return run

    times = in_turns({name: train(model) for name, model in models.items()}, rounds)
    yield from rows("fine-tuning step", times, 40.0, "CNN")
    times = in_turns({name: detect(model) for name, model in models.items()}, rounds)
    yield from rows("detection", times, 60.0, "CNN")


def rows(what: str, times: Mapping[str, list[float]], audio_s: float, base: str) -> Iterator[dict[str, object]]:
    """One row per way; ``gain`` is how many times as fast as ``base``, the median of the rounds' own ratios."""
    for name, seconds in times.items():
        gain = statistics.median(theirs / ours for theirs, ours in zip(times[base], seconds, strict=True))
        yield {
            "what": what,
            "way": name,
            "cpu_s": round(statistics.median(seconds), 3),
            "audio_s_per_cpu_s": round(audio_s / statistics.median(seconds), 2),
            f"gain_over_{base.split(',')[0]}": round(gain, 2),
        }


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip-base", action="store_true", help="leave out 12 x 768")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    disable_progress_bar()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}))
    sizes = [("demo", 3, 8.0)] + ([] if args.skip_base else [("base", 2, 5.0)])
    for size, crops, crop_s in sizes:
        for row in pretraining_rows(size, crops, crop_s, args.rounds):
            print(json.dumps(row), flush=True)
    for row in finetuning_rows(args.rounds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
