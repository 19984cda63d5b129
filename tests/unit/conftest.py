"""What tests of several rooms share: tiny models, a small labelled forest, batches, the toy training program."""

import dataclasses
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings
from transformers import AutoConfig, AutoModel, Wav2Vec2FeatureExtractor

from rfcx_ssl.config import check_settings
from rfcx_ssl.data import DataSettings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.models.registry import ENCODERS
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.models.wav2vec import FAMILY
from rfcx_ssl.species import label_space, rfcx_species

settings.register_profile("machine of any speed", deadline=None)
settings.load_profile("machine of any speed")

RATE_HZ, HOP = 32_000, 640
LOW_RATE_HZ = 8_000  # so that hours of audio are cheap
PROGRAM = Path(__file__).parents[1] / "pipeline" / "programs" / "toy_finetune.py"
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"


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
BACKBONES = ("wav2vec2_group", *FAMILY)
_MEL = {"n_fft": 256, "hop_samples": 128, "n_mels": 16}
# eight log-mel extractors that differ in what could break: kernels, strides, neighborhoods, rates of the mel, depth
_NEAR = {"center_s": 0.05, "normalize_s": 0.05}
MEL_EXTRACTORS: dict[str, dict[str, object]] = {
    "plain": _NEAR | {"mel": _MEL, "channels": [4, 6], "time_strides": [2, 1], "band_strides": [2, 2], "dim": 12},
    "no time stride": _NEAR | {"mel": _MEL, "channels": [5], "time_strides": [1], "band_strides": [4], "dim": 8},
    "late stride": _NEAR | {"mel": _MEL, "channels": [4, 4], "time_strides": [1, 3], "band_strides": [1, 3], "dim": 8},
    "wide neighborhoods": {"mel": _MEL, "channels": [4], "time_strides": [2], "band_strides": [2], "dim": 8},
    "unequal": {"mel": _MEL, "channels": [4], "time_strides": [2], "band_strides": [2], "dim": 8, "center_s": 0.02},
    "window is hop": _NEAR
    | {"mel": _MEL | {"hop_samples": 256}, "channels": [4], "time_strides": [1], "band_strides": [2], "dim": 8},
    "odd hop": _NEAR
    | {
        "mel": _MEL | {"hop_samples": 85},
        "channels": [4, 4],
        "time_strides": [2, 2],
        "band_strides": [2, 1],
        "dim": 8,
    },
    "deep": _NEAR
    | {"mel": _MEL, "channels": [4] * 4, "time_strides": [1, 2, 1, 2], "band_strides": [2, 1, 2, 1], "dim": 16},
}
_EXTRA = {
    "wav2vec2_group": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "data2vec-audio": {"conv_pos_kernel_size": 5},
    "wav2vec2-conformer": {"position_embeddings_type": "relative"},
    "wav2vec2_mel": {"mel_extractor": MEL_EXTRACTORS["plain"], "sample_rate_hz": 32_000},
}
_CNN = {
    "mel": _MEL,
    "channels": [4, 8],
    "time_pools": [2, 1],
    "freq_pools": [2, 2],
    "embedding_dim": 8,
    "block_dropout": 0.0,
    "embedding_dropout": 0.0,
}
_TIMM = {"mel": _MEL | {"n_mels": 32}, "stages": 2}
# small examples of every registered kind of encoder, by name; test_registry.py fails where a kind has none
TINY: dict[str, dict[str, dict[str, object]]] = {
    "wav2vec2": {name: {"frame_pool": 2} for name in BACKBONES},
    "panns": {"panns": _CNN, "panns_5x5": _CNN | {"convs_per_block": 1, "frame_pool": 2}},
    "spectrogram": {
        "timm_resnet": _TIMM | {"architecture": "test_resnet"},
        "timm_pcen": _TIMM | {"architecture": "test_efficientnet", "compression": "pcen", "frequency_channel": False},
    },
}
KIND_OF = {name: kind for kind in ENCODERS for name in TINY.get(kind, {})}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "tiny_name" in metafunc.fixturenames:
        metafunc.parametrize("tiny_name", KIND_OF)
    if "mel_extractor" in metafunc.fixturenames:
        metafunc.parametrize("mel_extractor", MEL_EXTRACTORS.values(), ids=MEL_EXTRACTORS)
    if "backbone_name" in metafunc.fixturenames:
        metafunc.parametrize("backbone_name", BACKBONES)


@pytest.fixture(scope="session")
def tiny_examples() -> dict[str, tuple[str, ...]]:
    """Kind of encoder -> the names of its tiny examples."""
    return {kind: tuple(examples) for kind, examples in TINY.items()}


@pytest.fixture(scope="session")
def encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A saved tiny encoder of the wav2vec family at 32 kHz; hop 40 samples, on log-mel 256."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            torch.manual_seed(1)
            model_type = name.removesuffix("_group")
            config = AutoConfig.for_model(model_type, **(_BACKBONE | _EXTRA.get(name, {})))
            made[name] = tmp_path_factory.mktemp(name)
            AutoModel.from_config(config).save_pretrained(made[name])
            normalize = model_type != "wav2vec2_mel"
            Wav2Vec2FeatureExtractor(sampling_rate=32_000, do_normalize=normalize).save_pretrained(made[name])
        return made[name]

    return make


@pytest.fixture(scope="session")
def tiny_settings(encoder_dir: Callable[[str], Path]) -> Callable[..., SedSettings]:
    """``tiny_settings(name, **changes)``."""

    def make(name: str, **changes: object) -> SedSettings:
        kind = KIND_OF[name]
        base = {"kind": kind, "window_s": 0.25} | TINY[kind][name]
        if "encoder" in {field.name for field in dataclasses.fields(ENCODERS[kind])}:
            base["encoder"] = str(encoder_dir(name))
        return check_settings(ModelSettings, base | changes, name)  # type: ignore[arg-type]

    return make


@pytest.fixture
def tiny(tiny_settings: Callable[..., SedSettings]) -> Callable[..., RainforestSedModel]:
    """``tiny(name, **changes)``: a built model, in evaluation mode."""
    space = label_space(rfcx_species(), split_songtypes=True, noise_class=True)
    return lambda name, **changes: build_model(tiny_settings(name, **changes), space).eval()


@pytest.fixture(scope="session")
def forest(tmp_path_factory):
    """12 recordings of noise, 4 s at 48 kHz, in RFCX's layout with sites."""
    root = tmp_path_factory.mktemp("forest")
    rng = np.random.default_rng(0)
    (root / "train").mkdir()
    present, absent, sites = [], [], []
    for i in range(12):
        samples = rng.integers(-3000, 3000, 4 * 48_000).astype(np.int16)
        soundfile.write(root / "train" / f"rec{i:02d}.flac", samples, 48_000)
        sites.append(f"rec{i:02d},train,site{i % 4},4.0")
        if i < 8:
            start = 0.2 + 0.3 * i
            present.append(f"rec{i:02d},{i % 3},1,{start:.2f},1000,{start + 0.5:.2f},2000")
        absent += [f"rec{i:02d},{s},1,{0.5 + s / 4:.2f},1000,{1.5 + s / 4:.2f},2000" for s in (3 + i % 2, 5)]
    (root / "train_tp.csv").write_text(HEADER + "\n".join(present) + "\n")
    (root / "train_fp.csv").write_text(HEADER + "\n".join(absent) + "\n")
    (root / "recordings.csv").write_text("recording_id,split,site,duration_s\n" + "\n".join(sites) + "\n")
    return root


@pytest.fixture(scope="session")
def bare_mp3(tmp_path_factory) -> Path:
    """An MP3 of 4 s at 48 kHz without LAME's first frame, so that nothing tells how late it starts."""
    path = tmp_path_factory.mktemp("mp3") / "bare.mp3"
    noise = np.random.default_rng(0).normal(0, 0.1, 4 * 48_000)
    soundfile.write(path, noise, 48_000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.2)
    data = path.read_bytes()
    path.write_bytes(data[data.index(data[:2], 100) :])
    return path


@pytest.fixture
def copied_forest(forest, tmp_path) -> Path:
    """The forest again, to be changed."""
    return Path(shutil.copytree(forest, tmp_path / "copied"))


@pytest.fixture
def settings_of(forest):
    def make(**changes):
        return DataSettings(**{"root": forest, "sample_rate_hz": 16_000, "crop_s": 1.0, "num_folds": 3, **changes})

    return make


@pytest.fixture
def grid() -> FrameGrid:
    return FrameGrid(RATE_HZ, HOP)


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Noise with random hard three-state labels; clip labels follow the frames."""

    def make(seed: int = 0, size: int = 4, samples: int = 32_000, outputs: int = 24, level: float = 0.1) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        frames = -(-samples // HOP)
        known = (torch.rand(size, frames, outputs, generator=generator) < 0.6).float()
        target = (torch.rand(size, frames, outputs, generator=generator) < 0.2).float() * known
        clip_target = target.amax(1)
        clip_known = torch.maximum(clip_target, known.amin(1))
        waveform = level * torch.randn(size, samples, generator=generator)
        return Batch(waveform, target, known, clip_target, clip_known, torch.arange(size))

    return make


@pytest.fixture(scope="session")
def toy():
    """The toy program as a module."""
    spec = importlib.util.spec_from_file_location("toy_finetune", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the compiler looks functions up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    """A small untrained model, saved as a run would save it."""
    torch.manual_seed(0)
    mel = MelSettings(n_mels=16, f_max_hz=4_000.0)
    settings = PannsSettings(
        sample_rate_hz=LOW_RATE_HZ,
        channels=(4, 8),
        time_pools=(2, 2),
        freq_pools=(2, 2),
        embedding_dim=8,
        mel=mel,
        window_s=2.0,
    )
    model = build_model(settings, label_space(rfcx_species(), split_songtypes=True))
    with torch.no_grad():
        model.head.classify.bias.zero_()  # untrained, but with opinions
    folder = tmp_path_factory.mktemp("model")
    model.save_pretrained(folder)
    return folder


class Foreign(NamedTuple):
    """Somebody else's classifier, and what it computes."""

    yaml: Path
    weights: np.ndarray  # (4, 4) of logits from the features of a window and a one
    window: int

    def features(self, window: np.ndarray) -> np.ndarray:
        """Sums of the three thirds of absolute samples; what is left over is not heard."""
        third = len(window) // 3
        return np.abs(window[: 3 * third]).reshape(3, third).sum(axis=1)

    def scores(self, window: np.ndarray) -> np.ndarray:
        """Logits of bat, nightjar, red frog and rain."""
        return self.weights @ np.append(self.features(window), 1.0)


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Foreign]:
    """``foreign(...)``: a graph of absolute sums over thirds of a window at 6 kHz, its class list and its YAML."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")

    def make(
        name: str = "theirs",
        *,
        window: int = 800,
        samples: int | str | None = None,
        batch: int | str = "batch",
        labels: str = "Bat\nnightjar\nRana rubra_red  Frog\nrain\n",
        options: str = "",
    ) -> Foreign:
        rng = np.random.default_rng(3)
        weights = rng.normal(0, 0.02, (4, 4))
        weights[:, 3] = rng.normal(0, 2, 4)
        third = window // 3
        sums = np.kron(np.eye(3), np.ones((third, 1)))
        sums = np.vstack([sums, np.zeros((window - 3 * third, 3))]).astype(np.float32)
        make_node, numpy_helper, kind = onnx.helper.make_node, onnx.numpy_helper, onnx.TensorProto.FLOAT
        arrays = {"sums": sums, "w": weights[:, :3].T.astype(np.float32), "b": weights[:, 3].astype(np.float32)}
        value = onnx.helper.make_tensor_value_info
        graph = onnx.helper.make_graph(
            [
                make_node("Abs", ["sound"], ["loud"]),
                make_node("MatMul", ["loud", "sums"], ["features"]),
                make_node("MatMul", ["features", "w"], ["weighted"]),
                make_node("Add", ["weighted", "b"], ["logits"]),
            ],
            "theirs",
            [value("sound", kind, [batch, samples or window])],
            [value("logits", kind, [batch, 4]), value("features", kind, [batch, 3])],
            [numpy_helper.from_array(array, key) for key, array in arrays.items()],
        )
        proto = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
        (tmp_path / f"{name}.onnx").write_bytes(proto.SerializeToString())
        (tmp_path / "labels.txt").write_text(labels)
        described = tmp_path / f"{name}.yaml"
        described.write_text(f"sample_rate_hz: 6000\nclasses: labels.txt\n{options}")
        return Foreign(described, weights, window)

    return make
