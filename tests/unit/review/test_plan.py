"""review.csv out and in again, and clips that lie in one row without gaps."""

import dataclasses

import pytest
import soundfile

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.review import plan
from rfcx_ssl.review.choose import Question
from rfcx_ssl.review.plan import clip_name, make_plan, read_plan, write_plan


def test_a_plan_comes_back(items, tmp_path):
    write_plan(items, tmp_path)
    assert read_plan(tmp_path) == items


def test_a_folder_without_a_plan_and_a_broken_row(items, tmp_path):
    with pytest.raises(AnnotationError, match="no folder that rfcx-ssl review --out wrote"):
        read_plan(tmp_path)
    write_plan(items, tmp_path)
    text = (tmp_path / "review.csv").read_text()
    (tmp_path / "review.csv").write_text(text.replace("0.7", "much", 1))
    with pytest.raises(AnnotationError, match=r"review.csv:2: .*much"):
        read_plan(tmp_path)


@pytest.fixture
def heard(make_pool, tmp_path):
    """A pool whose recordings of 10 s are there, at two rates."""
    pool, rates = make_pool(3), (8_000, 16_000, 8_000)
    files = [tmp_path / f"rec{number}.wav" for number in range(3)]
    for path, rate in zip(files, rates, strict=True):
        soundfile.write(path, [0.0] * (10 * rate), rate)
    recordings = tuple(Recording(path.stem, str(path)) for path in files)
    return dataclasses.replace(pool, recordings=recordings)


def test_clips_lie_in_a_row_and_hold_their_boxes(heard, species):
    questions = [Question(1, 2, 3.0, 4.0, 0.5, "top"), Question(0, 0, 0.5, 2.5, 0.9, "random"), Question(2, 2, 9.0, 10.0, 0.1, "top")]  # fmt: skip
    items, rate = make_plan(questions, heard, species, context_s=1.5)
    assert rate == 16_000 and [item.question for item in items] == [1, 2, 3]
    assert [item.species for item in items] == ["Great Tit", "Tree frog, small", "Tree frog, small"]
    assert [(item.clip_start_s, item.clip_s) for item in items] == [(0.0, 4.0), (1.5, 4.0), (7.5, 2.5)]
    assert [item.at_s for item in items] == [0.0, 4.0, 8.0]
    assert [item.box_s for item in items] == [(0.5, 2.5), (5.5, 6.5), (9.5, 10.5)]
    assert (items[0].low_hz, items[0].high_hz) == (2000.0, 6000.0) and items[1].high_hz == 1000.0
    assert sorted(item.clip for item in items) == [item.clip for item in items]


def test_a_species_without_a_band_takes_all_that_the_clip_holds(heard, species):
    (item,), rate = make_plan([Question(0, 1, 1.0, 2.0, 0.5, "top")], heard, species, context_s=0.0)
    assert (item.low_hz, item.high_hz) == (0.0, rate / 2) and item.clip_s == 1.0


def test_a_band_is_drawn_as_far_as_the_clips_hold_it():
    assert plan._drawn_band((2000.0, 6000.0), 4000.0) == (2000.0, 4000.0)
    assert plan._drawn_band((5000.0, 6000.0), 4000.0) == (0.0, 4000.0)


def test_too_much_for_one_file(heard, species, monkeypatch):
    monkeypatch.setattr(plan, "_WAV_BYTES", 1000)
    with pytest.raises(ConfigError, match="lower --budget"):
        make_plan([Question(0, 1, 1.0, 2.0, 0.5, "top")], heard, species, context_s=0.0)


def test_names_of_clips_are_safe_everywhere():
    assert clip_name(7, "site 1/räv:a", 12.04) == "0007_site_1_räv_a_12.0s.wav"
