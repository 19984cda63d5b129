"""ONNX export and torch.compile give the same scores."""

import json

import pytest
import torch

from rfcx_ssl.models.export_onnx import METADATA_KEY, add_metadata, export_onnx, facts


@pytest.mark.slow
@pytest.mark.parametrize("name", ["panns", "wav2vec2", "wav2vec2_mel"])
def test_onnx_gives_the_same_logits_for_any_batch_and_any_length(tiny, tmp_path, name):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    model = tiny(name, window_s=0.0625)
    path = tmp_path / "model.onnx"
    export_onnx(model, path, 2048)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    for batch, num_samples in ((1, 2048), (3, 2048), (2, 5000), (2, 777), (1, 1)):
        waveform = 0.1 * torch.randn(batch, num_samples)
        embedding, clip, frame = session.run(["embedding", "logits", "frame_logits"], {"waveform": waveform.numpy()})
        with torch.inference_mode():
            expected = model(waveform)
        torch.testing.assert_close(torch.tensor(frame), expected.frame_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch.tensor(clip), expected.clip_logits, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(torch.tensor(embedding), expected.embedding, rtol=1e-4, atol=1e-4)
    told = json.loads(session.get_modelmeta().custom_metadata_map[METADATA_KEY])
    assert told == json.loads(json.dumps(facts(model))) | {"fixed_samples": None}


def test_metadata_is_added_to_what_is_there(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "empty.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], [])), str(path))
    add_metadata(path, onnx, {"a": 1, "b": 2})
    add_metadata(path, onnx, {"b": 3})
    (entry,) = onnx.load(str(path)).metadata_props
    assert entry.key == METADATA_KEY and json.loads(entry.value) == {"a": 1, "b": 3}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")
@pytest.mark.parametrize("name", ["panns", "wav2vec2", "timm_resnet"])
def test_the_whole_graph_compiles_with_equal_outputs(tiny, name):
    model = tiny(name)
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    waveform = 0.1 * torch.randn(2, 2000)
    with torch.no_grad():
        torch.testing.assert_close(compiled(waveform).to_tuple(), model(waveform).to_tuple(), rtol=1e-4, atol=1e-5)
