"""Every shipped model config is complete and valid, and the documented command line works."""

import pytest

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings

CONFIGS = sorted(path.stem for path in (config_root() / "finetune/model").glob("*.yaml"))


@pytest.mark.parametrize("name", CONFIGS)
def test_every_shipped_model_loads(name):
    overrides = ["encoder=somewhere"] if name.startswith("wav2vec2") else []
    settings = load_settings(ModelSettings, "finetune/model", name, overrides)
    assert settings.window_s is None or settings.window_s > 0  # None: as long as the training crops


def test_a_wav2vec_model_needs_an_encoder():
    with pytest.raises(ConfigError, match=r"set model\.encoder to an encoder directory"):
        load_settings(ModelSettings, "finetune/model", "wav2vec2")


def test_cnn14_is_the_published_one_but_for_its_frame_rate():
    shipped = load_settings(ModelSettings, "finetune/model", "panns_cnn14")
    published = PannsSettings()
    for key in ("channels", "freq_pools", "convs_per_block", "embedding_dim", "mel", "sample_rate_hz"):
        assert getattr(shipped, key) == getattr(published, key)
    assert shipped.time_pools == (2, 2, 2, 1, 1, 1)


def test_both_demo_models_answer_on_one_grid():
    cnn = load_settings(ModelSettings, "finetune/model", "panns_demo")
    hop = cnn.mel.hop_samples
    for pool in cnn.time_pools:
        hop *= pool
    wav2vec = load_settings(ModelSettings, "finetune/model", "wav2vec2_demo", ["encoder=x"])
    assert isinstance(wav2vec, Wav2Vec2Settings)
    assert hop * cnn.frame_pool == 640 * wav2vec.frame_pool  # the demo's pretraining has hop 640


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["channels=[1]"], "one entry per block"),
        (["mel.n_mels=8"], "leave nothing of 8 mel bands"),
        (["head.dropout=1.0"], "dropout must be in"),
        (["temporal.kind=transformer", "temporal.heads=0"], "heads >= 1"),
        (["temporal.kind=conformer", "temporal.kernel_size=2"], "kernel_size must be odd"),
        (["temporal.kind=transformer", "temporal.drop_path=1"], r"drop_path=1.0 must be in \[0, 1\)"),
        (["temporal.kind=gru", "temporal.heads=2"], "temporal.heads: .*kind=transformer, conformer; this is kind=gru"),
        (["temporal.kind=gru", "temporal.dim=3"], "dim=3 must be even"),
        (["head.pooling.sharpness=2"], "head.pooling.sharpness: .*kind=lse; this is kind=attention"),
        (["mask_time.widest=-1"], "widest=-1 and number=2 must be 1 or more; null masks nothing"),
        (["mask_time.number=1"], r"mask_time\.widest: required, not set"),
    ],
)
def test_broken_rules_are_named(overrides, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(ModelSettings, "finetune/model", "panns_cnn14", overrides)
