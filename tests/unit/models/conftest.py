"""Tiny models of every kind; a test that takes ``tiny_name`` or ``tiny`` runs for each of them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

from rfcx_ssl.config import check_settings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.species import LabelSpace, rfcx_label_space

_BACKBONE = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [8] * 3,
    "conv_kernel": [20, 3, 2],
    "conv_stride": [10, 2, 2],
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}
_EXTRA = {
    "wav2vec2_group": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "data2vec-audio": {"conv_pos_kernel_size": 5},
    "wav2vec2-conformer": {"position_embeddings_type": "relative"},
}
BACKBONES = ("wav2vec2", "wav2vec2_group", "hubert", "wavlm", "data2vec-audio", "wav2vec2-conformer")
_MEL = {"n_fft": 256, "hop_samples": 128, "n_mels": 16}
_CNN = {
    "kind": "panns",
    "mel": _MEL,
    "channels": [4, 8],
    "time_pools": [2, 1],
    "freq_pools": [2, 2],
    "embedding_dim": 8,
    "block_dropout": 0.0,
    "embedding_dropout": 0.0,
}
_TIMM = {"kind": "spectrogram", "mel": _MEL | {"n_mels": 32}, "stages": 2}
OTHERS = {
    "panns": _CNN,
    "panns_5x5": _CNN | {"convs_per_block": 1, "frame_pool": 2},
    "timm_resnet": _TIMM | {"architecture": "test_resnet"},
    "timm_pcen": _TIMM | {"architecture": "test_efficientnet", "compression": "pcen", "frequency_channel": False},
}
TINY_NAMES = (*BACKBONES, *OTHERS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tiny_name" in metafunc.fixturenames:
        metafunc.parametrize("tiny_name", TINY_NAMES)
    if "backbone_name" in metafunc.fixturenames:
        metafunc.parametrize("backbone_name", BACKBONES)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A saved tiny encoder of the wav2vec family, 32 kHz, hop 40 samples."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            torch.manual_seed(1)
            model_type = name.removesuffix("_group")
            config = AutoConfig.for_model(model_type, **(_BACKBONE | _EXTRA.get(name, {})))
            made[name] = tmp_path_factory.mktemp(name)
            AutoModel.from_config(config).save_pretrained(made[name])
            Wav2Vec2FeatureExtractor(sampling_rate=32_000, do_normalize=True).save_pretrained(made[name])
        return made[name]

    return make


@pytest.fixture(scope="session")
def space() -> LabelSpace:
    return rfcx_label_space(split_songtypes=True, noise_class=True)


@pytest.fixture(scope="session")
def tiny_settings(encoder_dir: Callable[[str], Path]) -> Callable[..., SedSettings]:
    """``tiny_settings(name, **changes)``."""

    def make(name: str, **changes: object) -> SedSettings:
        values = OTHERS.get(name) or {"kind": "wav2vec2", "encoder": str(encoder_dir(name)), "frame_pool": 2}
        base = {"window_s": 0.25}
        return check_settings(ModelSettings, base | values | changes, name)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny(tiny_settings: Callable[..., SedSettings], space: LabelSpace) -> Callable[..., RainforestSedModel]:
    """``tiny(name, **changes)``: a built model, in evaluation mode."""
    return lambda name, **changes: build_model(tiny_settings(name, **changes), space).eval()
