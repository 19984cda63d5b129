import shutil
from pathlib import Path

import numpy as np
import pytest

from rfcx_ssl.audio import write_flac
from rfcx_ssl.errors import ConfigError, ManifestError, RfcxError
from rfcx_ssl.models.mel_extractor import MelExtractorSettings
from rfcx_ssl.pretraining.preflight import check_pretraining, compose_pretraining

CONFIGS = Path(__file__).parents[3] / "configs" / "pretrain"


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    lines = [str(tmp_path)]
    for n in range(3):
        write_flac(tmp_path / f"{n}.flac", 0.1 * rng.standard_normal(32000).astype(np.float32), 32000)
        lines.append(f"{n}.flac\t32000")
    for split in ("train", "valid"):
        (tmp_path / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    return tmp_path


def tiny(data, *overrides):
    return compose_pretraining(CONFIGS, "wav2vec2_tiny_32k", [f"task.data={data}", *overrides])


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_shipped_config_composes_and_has_the_same_keys(name, data):
    config = compose_pretraining(CONFIGS, name, [f"task.data={data}"])
    assert config["task"]["sample_rate"] == 1000 * int(name.rsplit("_", 1)[1].removesuffix("k"))
    assert config["checkpoint"]["save_dir"] == f"runs/pretrain/{name}"
    reference = compose_pretraining(CONFIGS, "wav2vec2_base_32k", [f"task.data={data}"])
    keys = {group: set(reference[group]) for group in reference}
    if "mel" in name:
        keys["model"] -= {"extractor_mode", "conv_feature_layers", "conv_bias"}
        keys["model"] |= {"mel_extractor", "detach_targets", "input_mix"}
        mel = MelExtractorSettings()
        assert set(config["model"]["mel_extractor"]) == set(vars(mel))
        assert set(config["model"]["mel_extractor"]["mel"]) == set(vars(mel.mel)) - {"alignment"}
    assert {group: set(config[group]) for group in config} == keys


def test_overrides_reach_the_config(data):
    config = tiny(data, "optimization.lr=[0.1]", "++model.mask_dropout=0.2", "checkpoint.save_dir=/x")
    assert config["optimization"]["lr"] == [0.1]
    assert config["model"]["mask_dropout"] == 0.2
    assert config["common"]["log_file"] == "/x/train.jsonl"
    check_pretraining(config)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizaton.lr=[0.1]", r"did you mean 'optimization\.lr'"),
        ("model.encoder_layer=3", r"did you mean 'model\.encoder_layers'"),
        ("verbose", "written key=value"),
        ("model.encoder_layers=[1", "model.encoder_layers"),
    ],
)
def test_a_wrong_override_is_named(data, override, message):
    with pytest.raises(ConfigError, match=message):
        tiny(data, override)


def test_what_is_required_is_named():
    with pytest.raises(ConfigError, match=r"task\.data: required"):
        compose_pretraining(CONFIGS, "wav2vec2_tiny_32k", [])
    with pytest.raises(ConfigError, match=r"have .*wav2vec2_base_32k, .*wav2vec2_demo_32k"):
        compose_pretraining(CONFIGS, "wav2vec2_tini", [])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("common.fp16=true", "common.cpu=true needs"),
        ("common.log_format=tqdm", "log_format=json"),
        ("dataset.max_tokens=null", r"dataset\.max_tokens"),
        ("model.conv_feature_layers=print(1)", "conv_feature_layers"),
    ],
)
def test_a_setting_that_cannot_work_is_named(data, override, message):
    with pytest.raises(RfcxError, match=message):
        check_pretraining(tiny(data, override))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("task.normalize=true", "task.normalize=true: .*needs false"),
        ("++model.mel_extractor.mel.n_mel=3", r"model\.mel_extractor\.mel\.n_mel: unknown key; known: .*n_mels"),
        ("model.mel_extractor.time_strides=[2]", "model.mel_extractor.*one entry per convolution"),
        ("model.mel_extractor.mel.f_max_hz=20000", r"model\.mel_extractor: mel\.f_max_hz=20000"),
    ],
)
def test_a_setting_of_the_log_mel_that_cannot_work_is_named(data, override, message):
    given = [f"task.data={data}", override]
    with pytest.raises(RfcxError, match=message):
        check_pretraining(compose_pretraining(CONFIGS, "wav2vec2_mel_tiny_32k", given))
    check_pretraining(compose_pretraining(CONFIGS, "wav2vec2_mel_tiny_32k", given[:1]))


def test_the_manifests_are_checked(data):
    with pytest.raises(ManifestError, match="3 of 3 segments"):
        check_pretraining(tiny(data, "dataset.required_batch_size_multiple=8"))
    with pytest.raises(ManifestError, match="0 of 3 segments"):
        check_pretraining(tiny(data, "task.min_sample_size=40000"))
    with pytest.raises(ManifestError, match=r"task\.sample_rate=16000"):
        check_pretraining(tiny(data, "task.sample_rate=16000"))
    (data / "valid.tsv").unlink()
    with pytest.raises(ManifestError, match=r"valid\.tsv"):
        check_pretraining(tiny(data))
    check_pretraining(tiny(data, "dataset.disable_validation=true"))
    shutil.rmtree(data)
    with pytest.raises(ManifestError, match="no such folder"):
        check_pretraining(tiny(data))


def test_a_virtual_manifest_asks_for_its_task(data):
    for split in ("train", "valid"):
        (data / f"{split}.tsv").rename(data / f"{split}.parquet")
    with pytest.raises(ManifestError, match=r"task\._name=rainforest_audio_pretraining"):
        check_pretraining(tiny(data))
