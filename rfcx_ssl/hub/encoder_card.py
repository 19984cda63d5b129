"""The card of a pretrained encoder: what it hears, the proof, its health, how to go on from it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rfcx_ssl.hub.card import (
    NOT_RECORDED,
    Choices,
    Section,
    bullets,
    citation,
    code,
    metadata,
    table,
    write_card,
)
from rfcx_ssl.hub.encoder_text import parity_and_health, pretraining
from rfcx_ssl.hub.facts import EncoderFacts
from rfcx_ssl.models.encoder_directory import preprocessor_values
from rfcx_ssl.models.wav2vec import conv_geometry

_USE = (
    "The start of fine-tuning for sound event detection in field recordings, and features for search and clustering. It knows "
    "no species by itself."
)


def encoder_card(folder: Path, facts: EncoderFacts, choices: Choices) -> str:
    """README.md of an encoder directory."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind = str(config.get("model_type", NOT_RECORDED))
    values = preprocessor_values(str(folder)) or {}
    data = metadata(choices, pipeline_tag="feature-extraction", tags=["self-supervised", kind])
    lead = f"A {kind} encoder, pretrained on unlabelled field recordings with rfcx-ssl: waveform in, one vector per frame out."
    sections = [
        Section("The encoder", [table(["", ""], _numbers(config, values))]),
        Section("Proof and health", parity_and_health(facts)),
        Section("Intended use", [_USE]),
        Section("Limits", [bullets(_limits(facts))]),
        Section("Pretraining", list(pretraining(facts))),
        Section("Loading", list(_loading(config, choices))),
        citation(),
    ]
    return write_card(choices.name.rpartition("/")[2], lead, sections, data)


def _numbers(config: Mapping[str, Any], preprocessor: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rate = preprocessor.get("sampling_rate")
    mel = (config.get("mel_extractor") or {}).get("mel")
    band = (mel["f_min_hz"], mel["f_max_hz"]) if mel else (0, rate / 2 if rate else None)
    hop, _ = conv_geometry(config.get("conv_kernel") or (), config.get("conv_stride") or ())
    yield "sample rate", f"{rate} Hz, mono; other rates must be resampled first" if rate else NOT_RECORDED
    yield "band", f"{band[0] / 1000:.4g} to {band[1] / 1000:.4g} kHz" if band[1] else NOT_RECORDED
    yield "frames", f"one every {1000 * hop / rate:.4g} ms ({hop} samples)" if rate and hop > 1 else NOT_RECORDED
    yield (
        "waveforms",
        "scaled to zero mean and unit variance first" if preprocessor.get("do_normalize") else "as they are",
    )
    yield "layers", f"{config.get('num_hidden_layers')} of width {config.get('hidden_size')}"


def _limits(facts: EncoderFacts) -> Iterator[str]:
    yield "What it was pretrained on decides what it tells apart; other regions, recorders and rates can be too far away."
    yield "How much it helps is not said here: `pretrain/probe.py` measures it on labelled recordings, beside random weights and log-mel."
    if not facts.parity:
        yield "That it computes what was pretrained is not proved here: no parity.json came with it."


def _loading(config: Mapping[str, Any], choices: Choices) -> Iterator[str]:
    remote = ", trust_remote_code=True" if "auto_map" in config else ""
    yield "Without rfcx-ssl" + ("; the code comes with the model:" if remote else ":")
    yield code(f"""
from transformers import AutoModel

encoder = AutoModel.from_pretrained("{choices.name}"{remote})
""")
    yield "With rfcx-ssl, for fine-tuning:"
    yield code(
        f"python finetune/train.py model=wav2vec2 model.encoder={choices.name} data=rfcx data.root=RFCX max_steps=10000",
        "",
    )
