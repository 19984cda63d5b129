"""The command line of ``rfcx-ssl submit``, without running it."""

import argparse
from pathlib import Path

import pytest

from rfcx_ssl.commands.submit import add_arguments


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_models_follow_each_other_or_are_repeated():
    words = ("--data", "d", "--out", "o.csv", "--models", "c")
    args = parse("--models", "a", "b", *words)
    assert args.models == ["a", "b", "c"] and args.data == Path("d") and args.fill is None


@pytest.mark.parametrize("missing", ["--models", "--data", "--out"])
def test_what_is_missing_is_refused(missing):
    words = {"--models": "a", "--data": "d", "--out": "o"}
    del words[missing]
    with pytest.raises(SystemExit):
        parse(*(word for pair in words.items() for word in pair))
