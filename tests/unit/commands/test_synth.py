import pytest

from rfcx_ssl.cli import main


def run(*argv):
    main(["synth", *(str(word) for word in argv)])


def test_a_forest_is_written_with_overrides(tmp_path, capsys):
    out = tmp_path / "forest"
    run(out, "train_recordings=2", "--preset", "tiny", "--seed", 3, "--workers", 1, "test_recordings=1")
    assert len(list((out / "train").iterdir())) == 2
    assert '"seed": 3' in (out / "synth.json").read_text()
    assert capsys.readouterr().out == f"wrote {out}: 2 training and 1 test recordings\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["OUT", "snr=3"], "snr"),
        (["OUT", "--preset", "huge"], "huge"),
        (["OUT", "--preset", "tiny", "--workers", "0"], "--workers: '0'"),
        (["OUT", "duration_s=1"], "duration_s=1"),
        ([], "--picture"),
        (["rain=0.5"], "--picture"),
    ],
)
def test_bad_input_exits_2_with_one_line(tmp_path, capsys, words, named):
    with pytest.raises(SystemExit) as stopped:
        run(*(tmp_path / "out" if word == "OUT" else word for word in words))
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert named in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_full_folder_exits_2(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        run(tmp_path, "--preset", "tiny")
    assert stopped.value.code == 2
    assert str(tmp_path) in capsys.readouterr().err
