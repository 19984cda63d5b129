import pytest

from rfcx_ssl.data.recordings import audio_by_id, open_recordings, read_sites
from rfcx_ssl.errors import AudioError


def test_headers_give_length_in_model_samples_and_site(forest):
    found = open_recordings(
        audio_by_id(forest, ["train"]),
        ["rec03", "rec01"],
        16_000,
        where="train",
        sites=read_sites(forest),
        allow_missing=False,
    )
    assert list(found) == ["rec01", "rec03"]
    item = found["rec03"]
    assert (item.num_samples, item.duration_s, item.site) == (64_000, 4.0, "site3")
    assert item.path == forest / "train" / "rec03.flac"


def test_missing_files_are_counted_and_may_be_allowed(forest):
    wanted = ["rec00", "rec01", "zzz"]
    with pytest.raises(AudioError, match=r"1 of 3 labelled recordings have no audio file in .*train \(first: zzz\)"):
        open_recordings(
            audio_by_id(forest, ["train"]), wanted, 16_000, where=str(forest / "train"), allow_missing=False
        )
    assert list(
        open_recordings(
            audio_by_id(forest, ["train"]), wanted, 16_000, where=str(forest / "train"), allow_missing=True
        )
    ) == ["rec00", "rec01"]
    with pytest.raises(AudioError, match="1 of 1 labelled recordings"):
        open_recordings(
            audio_by_id(forest, ["train"]), ["zzz"], 16_000, where=str(forest / "train"), allow_missing=True
        )


def test_an_earlier_folder_wins_and_other_files_are_no_audio(tmp_path):
    for name in ("one/aaa.wav", "two/aaa.flac", "two/bbb.FLAC", "two/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert audio_by_id(tmp_path, ["one", "two", "three"]) == {
        "aaa": tmp_path / "one/aaa.wav",
        "bbb": tmp_path / "two/bbb.FLAC",
    }
    assert read_sites(tmp_path) == {}
