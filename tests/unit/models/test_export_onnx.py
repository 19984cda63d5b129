"""ONNX export and torch.compile give the same scores."""

import pytest
import torch

from rfcx_ssl.models.export_onnx import export_onnx


@pytest.mark.slow
@pytest.mark.parametrize("name", ["panns", "wav2vec2"])
def test_onnx_gives_the_same_logits_for_any_batch(tiny, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = tiny(name, window_s=0.0625)
    path = tmp_path / "model.onnx"
    export_onnx(model, path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch in (1, 3):
        waveform = 0.1 * torch.randn(batch, model.config.window_samples)
        frame, clip = session.run(["frame_logits", "clip_logits"], {"waveform": waveform.numpy()})
        with torch.inference_mode():
            expected = model(waveform)
        torch.testing.assert_close(torch.tensor(frame), expected.frame_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch.tensor(clip), expected.clip_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.parametrize("name", ["panns", "wav2vec2", "timm_resnet"])
def test_the_whole_graph_compiles_with_equal_outputs(tiny, name):
    model = tiny(name)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    waveform = 0.1 * torch.randn(2, 2000)
    with torch.no_grad():
        torch.testing.assert_close(compiled(waveform).to_tuple(), model(waveform).to_tuple(), rtol=1e-4, atol=1e-5)
