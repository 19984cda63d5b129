"""The command line of ``rfcx-ssl review``: one of two things, never both; how contradictions are reported."""

import pytest

from rfcx_ssl.cli import main
from rfcx_ssl.commands import review


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "o"], "give the folder of a detection, or --read"),
        (["found", "--read", "round1", "--out", "o"], "give the folder of a detection, or --read"),
        (["--read", "round1", "--out", "o"], "--read needs --annotator NAME"),
        (["found", "--out", "o", "--budget", "0"], "budget=0"),
        (["found", "--out", "o", "--strategy", "tip=1"], "did you mean 'top'"),
        (["found", "--out", "o"], "detect.json: cannot be read"),
        (["found", "--out", "."], "exists, and may hold answers"),
        (["--read", "round1", "--annotator", "me", "--out", "o"], "review.csv: missing"),
    ],
)
def test_wrong_words_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["review", *words])
    (line,) = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and message in line


def test_a_long_list_of_contradictions_is_cut(capsys):
    review._report([f"line {number}" for number in range(12)])
    out = capsys.readouterr().out
    assert (
        out.startswith("12 answers contradict") and "line 9\n" in out and "and 2 more" in out and "line 10" not in out
    )
