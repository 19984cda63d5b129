"""Which words of the command line are models and which are settings."""

import re

import pytest

from rfcx_ssl.commands.evaluate import split_words
from rfcx_ssl.errors import ConfigError


def test_models_have_names_and_settings_are_known_by_theirs():
    words = [
        "runs/demo/cnn",
        "runs/demo/w2v/model",
        "old=user/name",
        "num_folds=3",
        "pseudo.weight=0.1",
        "runs/lr=0.1",
    ]
    models, settings = split_words(words)
    assert models == {
        "cnn": "runs/demo/cnn", "w2v": "runs/demo/w2v/model", "old": "user/name", "lr=0.1": "runs/lr=0.1"
    }  # fmt: skip
    assert settings == ["num_folds=3", "pseudo.weight=0.1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["num_fold=3"],
            "'num_fold=3': neither a setting of configs/finetune/data nor NAME=MODEL, did you mean 'num_folds'?",
        ),
        (["a/cnn", "b/cnn"], "'b/cnn': need NAME=MODEL with a name of its own"),
        (["one=a/x", "one=b/x"], "'one=b/x': need NAME=MODEL"),
    ],
)
def test_mistakes_are_named(words, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        split_words(words)
