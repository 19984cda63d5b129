"""The dependency-free settings reader agrees with the strict door."""

import pytest

from rfcx_ssl.config import check_settings, settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.models.registry import ENCODERS, read_settings
from rfcx_ssl.settings import from_plain


def test_every_kind_round_trips_through_json_values(tiny_settings, tiny_name):
    mask = {"prob": 0.1} if "encoder" in settings_dict(tiny_settings(tiny_name)) else {"widest": 4}
    settings = tiny_settings(tiny_name, temporal={"kind": "gru"}, head={"pooling": {"kind": "lse"}}, mask_time=mask)
    values = settings_dict(settings)
    assert read_settings(values) == settings
    assert check_settings(type(settings), values, "x") == settings
    assert values["kind"] in ENCODERS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"chanels": [1]}, r"model\.chanels: unknown key; known: .*channels"),
        ({"mel": {"n_mel": 3}}, r"model\.mel\.n_mel: unknown key"),
        ({"mel": 3}, r"model\.mel=3: must be a mapping"),
        ({"head": {"pooling": {"kind": "mode"}}}, r"model\.head\.pooling\.kind='mode': must be one of 'attention'"),
        ({"head": {"pooling": {"kind": "maxx"}}}, r"pooling\.kind='maxx': .*'lse', did you mean 'max'"),
        (
            {"head": {"pooling": {"kind": "mean", "reduce": "max"}}},
            r"model\.head\.pooling\.reduce: unknown key; known: kind",
        ),
        ({"temporal": {"layers": 2}}, r"model\.temporal\.kind=None: must be one of 'gru', 'transformer', 'conformer'"),
        ({"temporal": []}, r"model\.temporal=\[\]: must be a mapping"),
        ({"mel": None}, r"model\.mel=None: must be a mapping"),
        ({"frame_pool": 0}, "need window_s > 0 and frame_pool >= 1"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        from_plain(PannsSettings, values, "model")


def test_unknown_kind_is_named():
    with pytest.raises(ConfigError, match=r"model\.kind='cnn': must be one of 'panns', 'spectrogram', 'wav2vec2'"):
        read_settings({"kind": "cnn"})
