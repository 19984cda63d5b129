import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.manifest.settings import ManifestSettings


def load(*overrides):
    return load_settings(ManifestSettings, "manifest", "build", overrides)


def test_the_shipped_file_states_the_defaults():
    assert load() == ManifestSettings()


@pytest.mark.parametrize(
    "override,message",
    [
        ("segment=3", "did you mean 'segment_s'"),
        ("sample_rate_hz=999999", "FLAC's limit"),
        ("segment_s=0", "must hold at least one sample"),
        ("channel=-1", "must be null or >= 0"),
        ("flags.drop=[loud]", "flags.drop"),
        ("flags.clipped_share=2", "need 0 <= clipped_share <= 1"),
        ("split.valid_fraction=0", "need 0 < valid_fraction < 1"),
        ("split.batch_multiple=0", "need batch_multiple >= 1"),
        ("split.group_by=day", "split.group_by"),
    ],
)
def test_wrong_settings_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load(override)


def test_only_what_changes_the_audio_changes_the_fingerprint():
    same = {load(f"{key}={value}").fingerprint(virtual=False) for key, value in (
        ("split.seed", 5), ("flags.short_s", 3), ("min_source_rate_hz", 16_000), ("segment_s", 15),
    )}  # fmt: skip
    other = {load(f"{key}={value}").fingerprint(virtual=False) for key, value in (
        ("sample_rate_hz", 16_000), ("segment_s", 10), ("channel", 0),
    )}  # fmt: skip
    assert same == {load().fingerprint(virtual=False)}
    assert len(other | same | {load().fingerprint(virtual=True)}) == 5
