"""The command line of ``rfcx-ssl detect``, without running it."""

import argparse

import pytest

from rfcx_ssl.commands.detect import add_arguments


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(arguments)


def test_arguments():
    args = parse(
        "a.wav", "b", "--model", "m", "--out", "o", "--format", "csv", "--format", "raven", "--threshold", "0.3"
    )
    assert (
        args.sources == ["a.wav", "b"]
        and args.models == ["m"]
        and args.format == ["csv", "raven"]
        and args.threshold == 0.3
    )
    assert parse("a", "--model", "m", "--out", "o").format is None


def test_short_ways_to_settings():
    args = parse("a", "--model", "m", "--out", "o", "--backend", "onnx", "--batch-size", "auto")
    assert (args.backend, args.batch_size, args.decoder) == ("onnx", "auto", None)


@pytest.mark.parametrize(
    "arguments",
    [["a.wav", "--out", "o"], ["a", "--model", "m"], ["a", "--model", "m", "--out", "o", "--format", "xls"]],
)
def test_what_is_missing_or_unknown_is_refused(arguments):
    with pytest.raises(SystemExit):
        parse(*arguments)
