"""What is mixed beneath the input of log-mel pretraining, and that the targets know nothing of it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
from rfcx_ssl.pretraining.parity import build_fairseq_model
from rfcx_ssl.pretraining.plugin.input_mix import InputMix, InputMixSettings

pytestmark = pytest.mark.filterwarnings("ignore")
MODEL = {
    "_name": "wav2vec2_mel", "quantize_targets": True, "encoder_layers": 1, "encoder_embed_dim": 16,
    "encoder_ffn_embed_dim": 16, "encoder_attention_heads": 2, "final_dim": 8, "latent_vars": 6, "latent_groups": 2,
    "conv_pos": 5, "conv_pos_groups": 4, "dropout_input": 0.0, "dropout_features": 0.0, "mask_length": 2,
    "mel_extractor": {"channels": [2], "time_strides": [2], "band_strides": [4], "dim": 8},
}  # fmt: skip


def test_every_row_meets_another_at_the_drawn_ratio():
    torch.manual_seed(3)
    waveform = torch.randn(6, 400) * torch.tensor([1.0, 0.1, 3.0, 0.5, 1.0, 2.0])[:, None]
    mixed = InputMix(InputMixSettings(p=1.0, snr_low_db=-5.0, snr_high_db=10.0))(waveform)
    rows = waveform.double().numpy()
    shifts = set()
    for row, added in enumerate((mixed - waveform).double().numpy()):
        near = [abs(np.corrcoef(added, other)[0, 1]) for other in rows]
        shifts.add((row - int(np.argmax(near))) % 6)
        assert max(near) > 0.999999
        snr_db = 10 * np.log10(np.square(rows[row]).sum() / np.square(added).sum())
        assert -5.0 <= snr_db <= 10.0
    assert len(shifts) == 1 and shifts != {0}


def test_a_share_of_the_rows_and_nothing_from_silence():
    torch.manual_seed(0)
    waveform = torch.randn(400, 8)
    changed = (InputMix(InputMixSettings(p=0.25))(waveform) != waveform).any(dim=1)
    assert 70 <= changed.sum() <= 130
    alone = torch.randn(1, 8)
    assert torch.equal(InputMix(InputMixSettings(p=1.0))(alone), alone)
    half_silent = torch.stack([torch.zeros(8), torch.ones(8)])
    assert torch.equal(InputMix(InputMixSettings(p=1.0))(half_silent), half_silent)


def features_and_targets(mix):
    """What transformer and quantizer of a model in training get from the same waveforms."""
    torch.manual_seed(1)
    settings = MODEL | ({"input_mix": mix} if mix else {})
    model = build_fairseq_model(
        FairseqCheckpoint(Path("random.pt"), "", {}, settings, {"sample_rate": 32000}, 0)
    ).train()
    seen = {}
    model.post_extract_proj.register_forward_hook(lambda _m, args, _out: seen.update(features=args[0].detach()))
    model.quantizer.register_forward_pre_hook(lambda _m, args: seen.update(targets=args[0].detach()))
    waveform = torch.randn(3, 32000, generator=torch.Generator().manual_seed(2))
    mask = torch.zeros(3, model.feature_extractor(waveform).shape[-1], dtype=torch.bool)
    mask[:, 4:8] = True
    model(waveform, mask_indices=mask)
    clean = model.layer_norm(model.feature_extractor(waveform).transpose(1, 2)).detach()
    return seen["features"], seen["targets"], clean, mask


def test_the_targets_are_those_of_the_clean_crop():
    features, targets, clean, mask = features_and_targets({"p": 1.0})
    assert torch.equal(targets.reshape(-1, 8), clean[mask]), "what has to be predicted"
    assert (features - clean).abs().amax(dim=(1, 2)).min() > 1e-3, "the transformer hears every crop mixed"


def test_without_the_option_all_hear_the_same():
    features, targets, clean, mask = features_and_targets(None)
    assert torch.equal(features, clean) and torch.equal(targets.reshape(-1, 8), clean[mask])


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match=r"model\.input_mix"):
        features_and_targets({"share": 1.0})
    with pytest.raises(ValueError, match="snr_low_db=3 must not be above"):
        InputMixSettings(snr_low_db=3, snr_high_db=1)
