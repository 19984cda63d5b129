"""Cost of every encoder, and of our CNN14 beside the published PANNs code, as JSON lines.

Times are CPU seconds of one thread (``time.process_time``), the median of several runs, so that a busy machine
disturbs them little. Where panns-inference and torchlibrosa are installed (extra ``dev``), or in the folder that
``--published`` names, their CNN14 and ours are first shown to give equal outputs with the same weights, then timed in
turns: front-end, forward and training step.
wav2vec 2.0 and its relatives are made in their base size with random weights.
"""

import argparse
import importlib.util
import json
import platform
import statistics
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

from rfcx_ssl.config import load_settings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.mel import MelSettings, power_to_db
from rfcx_ssl.models.panns import PannsEncoder, PannsSettings
from rfcx_ssl.models.panns_checkpoint import load_panns_encoder
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.models.wav2vec import FAMILY
from rfcx_ssl.species import label_space, rfcx_species

WINDOW_S = 5.0


def cpu_s(run: Callable[[], object]) -> float:
    """CPU seconds of ``run``."""
    start = time.process_time()
    run()
    return time.process_time() - start


def median_cpu_s(run: Callable[[], object], repeats: int) -> float:
    """Median CPU seconds of ``run`` after one warm-up."""
    return statistics.median([cpu_s(run) for _ in range(repeats + 1)][1:])


def write_base_encoder(family: str, folder: Path) -> None:
    """The base architecture of a family with the 32 kHz layer-norm stack of docs/architecture.md, random weights."""
    config = AutoConfig.for_model(
        family,
        conv_dim=(512,) * 7,
        conv_kernel=(20, 3, 3, 3, 3, 2, 2),
        conv_stride=(10, 2, 2, 2, 2, 2, 2),
        conv_bias=True,
        feat_extract_norm="layer",
        do_stable_layer_norm=True,
    )
    AutoModel.from_config(config).save_pretrained(folder)
    Wav2Vec2FeatureExtractor(sampling_rate=32_000, do_normalize=True).save_pretrained(folder)


def encoder_rows(names: list[str], encoders: Path, repeats: int) -> Iterator[dict[str, object]]:
    """Parameters, multiply-accumulates and speed of the shipped model configs on one 5 s window."""
    for name in names:
        overrides = [f"window_s={WINDOW_S}"] + ([f"encoder={encoders / name}"] if name in FAMILY else [])
        config = "wav2vec2" if name in FAMILY else name
        settings = load_settings(ModelSettings, "finetune/model", config, overrides)
        model = build_model(settings, label_space(rfcx_species())).eval()
        waveform = 0.1 * torch.randn(1, round(WINDOW_S * model.config.sample_rate_hz))
        with torch.inference_mode():
            cpu_s = median_cpu_s(lambda: model(waveform), repeats)  # noqa: B023 - called at once
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(waveform)
        yield {
            "model": name,
            "parameters_m": round(sum(p.numel() for p in model.parameters()) / 1e6, 2),
            "gmac": round(counter.get_total_flops() / 2e9, 2),
            "frames_per_s": round(1 / model.grid.frame_s, 2),
            "cpu_s_per_window": round(cpu_s, 4),
            "times_real_time": round(WINDOW_S / cpu_s, 1),
        }


def load_published(folder: Path) -> types.ModuleType:
    """``panns_inference.models`` by file location: importing the package itself starts a download."""
    sys.path.insert(0, str(folder))
    package = types.ModuleType("published_panns")
    package.__path__ = [str(folder / "panns_inference")]
    sys.modules["published_panns"] = package
    return importlib.import_module("published_panns.models")


def published_rows(folder: Path, repeats: int) -> Iterator[dict[str, object]]:
    """Our CNN14 and the published one, same weights, same 5 s clips."""
    theirs = load_published(folder).Cnn14_DecisionLevelMax(32000, 1024, 320, 64, 50, 14000, 24)
    ours = PannsEncoder(PannsSettings(mel=MelSettings(alignment="center"), block_dropout=0.2, embedding_dropout=0.5))
    load_panns_encoder(ours, theirs.state_dict(), "published")
    classify = nn.Linear(2048, 24)
    classify.load_state_dict(theirs.fc_audioset.state_dict())
    waveform = 0.1 * torch.randn(2, 5 * 32000)
    frames = waveform.shape[1] // 10240

    def our_forward() -> Tensor:
        return classify(ours(waveform, frames)).sigmoid()

    def their_forward() -> Tensor:
        return theirs(waveform)["framewise_output"]

    ours.eval()
    theirs.eval()
    with torch.inference_mode():
        difference = (our_forward() - their_forward()[:, : frames * 32 : 32]).abs().max().item()
        if difference > 1e-4:
            raise SystemExit(f"outputs differ by {difference}: nothing to compare")
        yield {"compare": "outputs", "largest_difference": difference}
        front = {
            "ours": lambda: power_to_db(ours.mel(waveform, 0)),
            "published": lambda: theirs.logmel_extractor(theirs.spectrogram_extractor(waveform)),
        }
        yield _pair("front-end", front, repeats)
        yield _pair("forward", {"ours": our_forward, "published": their_forward}, repeats)
    ours.train()
    theirs.train()
    steps = {
        "ours": lambda: our_forward().mean().backward(),
        "published": lambda: their_forward().mean().backward(),
    }
    yield _pair("training step", steps, repeats)


def _pair(what: str, runs: dict[str, Callable[[], object]], repeats: int) -> dict[str, object]:
    """Medians of turns taken one after the other, and of each turn's own ratio."""
    turns = [{name: cpu_s(run) for name, run in runs.items()} for _ in range(repeats + 1)][1:]  # the first warms up
    medians = {name: round(statistics.median(turn[name] for turn in turns), 4) for name in runs}
    ratio = statistics.median(turn["published"] / turn["ours"] for turn in turns)
    return {"compare": what, **{f"{name}_cpu_s": value for name, value in medians.items()},
            "published_over_ours": round(ratio, 3)}  # fmt: skip


def main() -> None:
    """Print one JSON object a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--models", nargs="*", help="names in configs/finetune/model, or of wav2vec's relatives; default: all"
    )
    parser.add_argument(
        "--published", type=Path, help="folder with panns-inference and torchlibrosa, if not installed"
    )
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    names = args.models
    if names is None:
        names = ["panns_demo", "panns_cnn6", "panns_cnn10", "panns_cnn14", "spectrogram", *FAMILY]
    print(json.dumps({"torch": torch.__version__, "machine": platform.machine(), "threads": torch.get_num_threads()}))
    with tempfile.TemporaryDirectory() as folder:
        encoders = Path(folder)
        for family in [name for name in names if name in FAMILY]:
            write_base_encoder(family, encoders / family)
        for row in encoder_rows(names, encoders, args.repeats):
            print(json.dumps(row), flush=True)
    installed = importlib.util.find_spec("panns_inference")  # found without being imported
    published = args.published or (Path(installed.origin).parents[1] if installed and installed.origin else None)
    if published:
        for row in published_rows(published, args.repeats):
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
