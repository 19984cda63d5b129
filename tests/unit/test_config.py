"""Settings: unknown keys fail, every mistake is named with its full key."""

from typing import Annotated, Literal

import pytest
from hydra.core.config_store import ConfigStore
from pydantic import Discriminator

from rfcx_ssl import config
from rfcx_ssl.config import check_settings, load_settings, settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.settings import settings


@settings
class Inner:
    rate_hz: int = 32000
    share: float = 0.5

    def __post_init__(self):
        if not 0 <= self.share <= 1:
            raise ValueError(f"share={self.share} must lie in [0, 1]")


@settings
class Outer:
    name: str
    inner: Inner = Inner()


@settings
class Sine:
    kind: Literal["sine"] = "sine"
    period_s: float = 1.0

    def __post_init__(self):
        if self.period_s <= 0:
            raise ValueError(f"period_s={self.period_s} must be above 0")


@settings
class Noise:
    kind: Literal["noise"] = "noise"
    color: str = "pink"
    inner: Inner | None = None


@settings
class Choice:
    sound: Annotated[Sine | Noise, Discriminator("kind")] = Sine()
    extra: Inner | None = None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"sound": {"kind": "sine", "color": "red"}}, "here: sound.color: unknown key, it belongs to kind=noise; this is kind=sine"),
        ({"sound": {"kind": "noise", "colour": "red"}}, "here: sound.colour: unknown key, did you mean 'color'?"),
        ({"sound": {"kind": "noise", "inner": {"shar": 1}}}, "here: sound.inner.shar: unknown key, did you mean 'share'?"),
        ({"sound": {"kind": "sine", "period_s": "long"}}, "here: sound.period_s='long': "),
        ({"sound": {"kind": "sine", "period_s": 0}}, "here: sound: period_s=0.0 must be above 0"),
        ({"sound": {"kind": "saw"}}, "here: sound.kind='saw': must be one of 'sine', 'noise'"),
        ({"sound": {"kind": "sin"}}, "here: sound.kind='sin': must be one of 'sine', 'noise', did you mean 'sine'?"),
        ({"sound": {"period_s": 2}}, "here: sound.kind: must be one of 'sine', 'noise'"),
        ({"extra": {"q": 2}}, "here: extra.q: unknown key; known: rate_hz, share"),
    ],
)  # fmt: skip
def test_mistakes_in_a_choice_are_named_as_the_user_writes_them(values, said):
    with pytest.raises(ConfigError) as caught:
        check_settings(Choice, values, source="here")
    assert str(caught.value).startswith(said)


def test_a_kind_that_has_a_file_is_to_be_chosen_by_it(tmp_path, monkeypatch):
    (tmp_path / "demo" / "sound").mkdir(parents=True)
    (tmp_path / "demo" / "top.yaml").write_text("defaults: [_self_, {sound: sine}]\n")
    (tmp_path / "demo" / "sound" / "sine.yaml").write_text("kind: sine\nperiod_s: 2\n")
    (tmp_path / "demo" / "sound" / "noise.yaml").write_text("kind: noise\ncolor: red\n")
    monkeypatch.setattr(config, "config_root", lambda: tmp_path)
    assert load_settings(Choice, "demo", "top", ["sound=noise"]).sound == Noise(color="red")
    assert load_settings(Choice, "demo", "top", ["extra.share=0.1"]).extra == Inner(share=0.1)
    with pytest.raises(ConfigError, match=r"extra.q: unknown key; known: rate_hz, share$"):
        load_settings(Choice, "demo", "top", ["sound.kind=sine", "extra.q=1"])
    with pytest.raises(ConfigError, match=r"sound.period_s: .*; write sound=noise instead of sound.kind=noise$"):
        load_settings(Choice, "demo", "top", ["sound.kind=noise"])


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as caught:
        check_settings(Outer, {"inner": {"rate_hx": 1, "share": "much"}, "nmae": "x"}, source="here")
    message = str(caught.value)
    for part in (
        "here:",
        "inner.rate_hx: unknown key, did you mean 'rate_hz'?",
        "inner.share='much'",
        "nmae",
        "name:",
    ):
        assert part in message
    assert "\n" not in message


def test_a_word_too_long_for_a_file_is_a_wrong_word():
    for word in ("9" * 5000, f"model.kind={'9' * 5000}", f"{'9' * 5000}=1"):
        with pytest.raises(ConfigError):
            load_settings(Outer, "finetune", "train", [word])
    with pytest.raises(ConfigError, match="no config '999"):
        load_settings(Outer, "finetune", "9" * 5000)


def test_broken_rule_names_key_and_rule():
    with pytest.raises(ConfigError, match=r"inner.*share=2.0 must lie in \[0, 1\]"):
        check_settings(Outer, {"name": "x", "inner": {"share": 2}}, source="here")


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    (tmp_path / "demo" / "inner").mkdir(parents=True)
    (tmp_path / "demo" / "top.yaml").write_text("defaults: [_self_, {inner: slow}]\nname: ???\n")
    (tmp_path / "demo" / "inner" / "slow.yaml").write_text("rate_hz: 16000\n")
    (tmp_path / "demo" / "inner" / "fast.yaml").write_text("rate_hz: 48000\nshare: 3e-4\n")
    monkeypatch.setattr(config, "config_root", lambda: tmp_path)


@pytest.mark.usefixtures("shipped")
def test_groups_and_overrides_compose():
    loaded = load_settings(Outer, "demo", "top", ["name=a", "inner=fast", "inner.rate_hz=44100"])
    assert loaded == Outer(name="a", inner=Inner(rate_hz=44100, share=3e-4))
    assert settings_dict(loaded) == {"name": "a", "inner": {"rate_hz": 44100, "share": 3e-4}}


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    "overrides,said",
    [
        (["name=a", "inner.rate=1", "nmae=2"], ("inner.rate", "nmae")),
        ([], ("name: required, not set",)),
        (["name=a", "inner=medium"], ("medium",)),
        (["name=a", "inner.rate_hz=[1"], ("rate_hz",)),
    ],
)
def test_wrong_overrides_are_config_errors(overrides, said):
    with pytest.raises(ConfigError) as caught:
        load_settings(Outer, "demo", "top", overrides)
    assert all(part in str(caught.value) for part in said)


def test_a_file_that_is_no_yaml_is_a_config_error(tmp_path):
    (tmp_path / "own.yaml").write_text("train: [a=[]]\n")
    with pytest.raises(ConfigError, match=r"own\.yaml.*line 1"):
        load_settings(Choice, str(tmp_path), "own")


@pytest.mark.usefixtures("shipped")
def test_unknown_config_lists_the_known():
    with pytest.raises(ConfigError, match="have top"):
        load_settings(Outer, "demo", "tpo")


@pytest.mark.usefixtures("shipped")
def test_another_package_may_have_groups_of_the_same_name(monkeypatch):
    """fairseq stores a schema model/wav2vec2 when it is imported, which our file of that name does not follow."""
    store = ConfigStore.instance()
    monkeypatch.setattr(store, "repo", dict(store.repo))
    store.store(name="slow", group="inner", node={"theirs": 1})
    before = dict(store.repo)
    assert load_settings(Outer, "demo", "top", ["name=a"]).inner.rate_hz == 16000
    assert store.repo == before
