"""A small untrained model, saved as a run would save it."""

import pytest
import torch

from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

RATE_HZ = 8_000  # low, so that hours of audio are cheap


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory):
    torch.manual_seed(0)
    mel = MelSettings(n_mels=16, f_max_hz=4_000.0)
    settings = PannsSettings(
        sample_rate_hz=RATE_HZ,
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
