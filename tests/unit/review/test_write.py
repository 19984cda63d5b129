"""A folder is written whole or not at all, and tells the person everything."""

import pytest
import soundfile

from rfcx_ssl.errors import AudioError
from rfcx_ssl.review.plan import Item
from rfcx_ssl.review.write import read_me, write_review
from rfcx_ssl.species import read_species


@pytest.fixture
def real_items(tmp_path):
    soundfile.write(tmp_path / "a.wav", [[0.5, -0.5]] * 80_000, 16_000)
    box = ("Great Tit", 0.5, "top")
    return [
        Item(
            n, f"{n:04d}_a.wav", n - 1.0, 1.0, "a", str(tmp_path / "a.wav"), float(n), n + 0.2, n + 0.7, 1e3, 2e3, *box
        )
        for n in (1, 2)
    ]


def test_what_is_written_is_mono_and_whole(real_items, species, tmp_path):
    write_review(real_items, 8_000, tmp_path / "new" / "round1", species, {"model": "räv"})
    folder = tmp_path / "new" / "round1"
    sound, rate = soundfile.read(folder / "review.wav")
    assert rate == 8_000 and sound.shape == (16_000,)
    assert len(soundfile.read(folder / "clips" / "0002_a.wav")[0]) == 8_000
    assert read_species(folder / "species.csv") == species
    assert '"räv"' in (folder / "review.json").read_text(encoding="utf-8")


def test_a_recording_that_is_gone_leaves_nothing_behind(real_items, species, tmp_path):
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match=r"a\.wav"):
        write_review(real_items, 8_000, tmp_path / "round1", species, {})
    assert not list(tmp_path.iterdir())


def test_the_person_is_told_what_to_do(real_items):
    text = read_me(real_items)
    for word in (
        "review.wav",
        "review.selections.txt",
        "review.labels.txt",
        "Answer",
        "--annotator",
        "--upto",
        "2 clips",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= 130
