"""Rules of the settings, and the words of --strategy."""

import pytest

from rfcx_ssl.commands.review import parse_strategy
from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.review.settings import ReviewSettings


def load(*words):
    return load_settings(ReviewSettings, "inference", "review", words)


def test_the_file_says_what_the_class_says():
    assert load() == ReviewSettings()


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("budget=0", "budget=0"),
        ("threshold=1.5", "threshold=1.5 must be in"),
        ("stretch_s=0", "stretch_s=0"),
        ("context_s=-1", "context_s=-1"),
        ("seed=-1", "seed=-1"),
        ("strategy.top=-1", "0 or more"),
        ("strategy.topp=1", "did you mean 'top'"),
    ],
)
def test_broken_rules(word, message):
    with pytest.raises(ConfigError, match=message):
        load(word)


def test_strategy_names_all_that_is_wanted():
    shares = load(*parse_strategy("top=0.5, random=1")).strategy.shares
    assert shares == {"top": 0.5, "threshold": 0.0, "random": 1.0, "diverse": 0.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topp=1", "did you mean 'top'"),
        ("best", "unknown kind"),
        ("top", "KIND=SHARE"),
        ("top=1,top=2", "KIND=SHARE once"),
        ("top=x", "strategy.top"),
    ],
)
def test_wrong_words_of_strategy(text, message):
    with pytest.raises(ConfigError, match=message):
        load(*parse_strategy(text))
