"""A TorchScript file says what the model says."""

import json

import pytest
import torch

from rfcx_ssl.models.export_torchscript import export_torchscript


@pytest.mark.parametrize("name", ["panns", "wav2vec2_mel"])
def test_outputs_are_equal_for_any_batch(tiny, tmp_path, name):
    model = tiny(name, window_s=0.0625, head={"activity": "auxiliary"})
    export_torchscript(model, tmp_path / "model.pt", 2048)
    told = {"rfcx_ssl": ""}
    script = torch.jit.load(tmp_path / "model.pt", _extra_files=told)
    told = json.loads(told["rfcx_ssl"])
    assert told["num_samples"] == 2048 and told["sample_rate_hz"] == 32_000 and len(told["species"]) >= 24
    for batch in (1, 3):
        waveform = 0.1 * torch.randn(batch, 2048)
        with torch.no_grad():
            expected, answers = model(waveform), dict(zip(told["outputs"], script(waveform), strict=True))
        for ours, theirs in (
            ("embedding", "embedding"),
            ("logits", "clip_logits"),
            ("frame_logits", "frame_logits"),
            ("activity_logits", "activity_logits"),
        ):
            torch.testing.assert_close(answers[ours], expected[theirs], rtol=1e-6, atol=1e-6)
