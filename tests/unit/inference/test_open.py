"""One door to all backends: what goes together, and what it gives."""

from functools import partial

import pytest
import torch

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.open import autocast_type, onnx_path, open_scorer
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings

CPU, CUDA = torch.device("cpu"), torch.device("cuda:0")


@pytest.fixture
def noise():
    return 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))


def test_a_directory_is_scored_by_torch_in_float32_on_a_cpu(model_dir, noise):
    scorer = open_scorer(str(model_dir), device="cpu", windows=WindowSettings(overlap=0.25))
    expected = TorchScorer(load_model(str(model_dir)), "it")(noise)
    assert scorer.name == str(model_dir) and scorer.windows.overlap == 0.25 and scorer.device == CPU
    for ours, theirs in zip(scorer(noise), expected, strict=True):
        assert ours.dtype == torch.float32
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)  # the opened model is a quick copy


def test_bfloat16_is_near_and_comes_back_as_float32(model_dir, noise):
    exact = open_scorer(str(model_dir), device="cpu")(noise)
    rough = open_scorer(str(model_dir), device="cpu", precision="bf16")(noise)
    for ours, theirs in zip(rough, exact, strict=True):
        assert ours.dtype == torch.float32 and not torch.equal(ours, theirs)
    torch.testing.assert_close(rough.frame, exact.frame, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("precision", "device", "has_bf16", "expected"),
    [
        ("auto", CPU, False, None),
        ("auto", CUDA, True, torch.bfloat16),
        ("auto", CUDA, False, None),
        ("fp32", CUDA, True, None),
        ("bf16", CPU, False, torch.bfloat16),
        ("fp16", CUDA, False, torch.float16),
    ],
)
def test_precision_follows_the_device(monkeypatch, precision, device, has_bf16, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    assert autocast_type(precision, device) == expected


def test_precision_that_a_device_has_not_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match="precision=fp16: CPUs are slower in it"):
        autocast_type("fp16", CPU)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    with pytest.raises(ConfigError, match="precision=bf16: this GPU computes it by emulation only"):
        autocast_type("bf16", CUDA)


@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
def test_a_compiled_network_says_the_same(model_dir, noise, monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    compiled = open_scorer(str(model_dir), device="cpu", compile=True)
    plain = open_scorer(str(model_dir), device="cpu")
    for waveform in (noise, noise[:1, :5000]):
        for ours, theirs in zip(compiled(waveform), plain(waveform), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_network_that_cannot_be_compiled_is_known_at_once(model_dir, monkeypatch):
    def compile(model):
        def run(waveform):
            raise RuntimeError("no C++ compiler\nlong story")

        return run

    monkeypatch.setattr(torch, "compile", compile)
    with pytest.raises(ConfigError, match=r"compile=true: torch cannot compile .* here \(no C\+\+ compiler\)"):
        open_scorer(str(model_dir), device="cpu", compile=True)


@pytest.mark.parametrize(
    ("options", "wrong"), [({"compile": True}, "compile=true"), ({"precision": "bf16"}, "precision=bf16")]
)
def test_onnx_runs_a_graph_as_it_is(options, wrong):
    with pytest.raises(ConfigError, match=f"{wrong}: backend=onnx runs its graph as it is"):
        open_scorer("anything", backend="onnx", **options)


def test_the_onnx_file_of_a_source(tmp_path, monkeypatch):
    with pytest.raises(CheckpointError, match=r"has no model\.onnx; rfcx-ssl export .* --format onnx"):
        onnx_path(str(tmp_path))
    (tmp_path / "model.onnx").touch()
    assert onnx_path(str(tmp_path)) == onnx_path(str(tmp_path / "model.onnx")) == tmp_path / "model.onnx"
    asked = []

    def download(name, file, revision):
        asked.append((name, file, revision))
        if name == "USER/NONE":
            raise OSError("404")
        return str(tmp_path / "cached")

    monkeypatch.setattr("rfcx_ssl.inference.open.hf_hub_download", download)
    assert onnx_path("USER/NAME@v1") == tmp_path / "cached"
    with pytest.raises(CheckpointError, match=r"model USER/NONE: no model\.onnx to be had \(404\)"):
        onnx_path("USER/NONE")
    assert asked == [("USER/NAME", "model.onnx", "v1"), ("USER/NONE", "model.onnx", None)]
