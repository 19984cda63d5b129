"""What a review takes from a detection, and which recordings it hears."""

import json

import pytest
import soundfile

from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.review import review
from rfcx_ssl.review.choose import Asked
from rfcx_ssl.review.plan import write_plan
from rfcx_ssl.review.review import ReviewRequest, read_asked, read_detections_record
from rfcx_ssl.review.settings import ReviewSettings


@pytest.fixture
def found(tmp_path):
    """A folder of a detection over nine recordings."""
    card = tmp_path / "card"
    card.mkdir()
    for number in range(9):
        soundfile.write(card / f"rec{number}.wav", [0.0] * 10, 8_000)
    settings = settings_dict(DetectSettings(threshold=0.3, overlap=0.25))
    record = {"models": ["runs/a/model"], "sources": [str(card)], "settings": settings}
    (tmp_path / "detect.json").write_text(json.dumps(record))
    return tmp_path


def names_of(request, settings):
    made = read_detections_record(request.detections)
    return [recording.name for recording in review._recordings(request, made, settings)]


def test_model_sources_and_settings_are_those_of_the_detection(found):
    made = read_detections_record(found)
    assert made.model == "runs/a/model" and made.sources == (str(found / "card"),)
    assert made.settings.threshold == 0.3 and made.settings.overlap == 0.25


def test_a_random_part_of_the_recordings_follows_the_seed(found):
    request = ReviewRequest(found, found / "out")
    assert names_of(request, ReviewSettings()) == [f"rec{number}" for number in range(9)]
    some = [names_of(request, ReviewSettings(recordings=4, seed=seed)) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2] and len(some[0]) == 4 and some[0] == sorted(some[0])
    assert len(names_of(request, ReviewSettings(recordings=99))) == 9


def test_recordings_that_moved(found):
    (found / "card").rename(found / "disk")
    assert len(names_of(ReviewRequest(found, found / "out", audio=[found / "disk"]), ReviewSettings())) == 9


@pytest.mark.parametrize("source", ["s3://bucket/card", "-"])
def test_recordings_that_are_not_here_are_asked_for(found, source):
    record = json.loads((found / "detect.json").read_text()) | {"sources": [source]}
    (found / "detect.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match=f"{source}: is not on this machine; copy .* --audio"):
        names_of(ReviewRequest(found, found / "out"), ReviewSettings())
    assert len(names_of(ReviewRequest(found, found / "out", audio=[found / "card"]), ReviewSettings())) == 9


def test_a_detection_without_sources_and_no_detection(found):
    record = json.loads((found / "detect.json").read_text())
    (found / "detect.json").write_text(json.dumps({key: record[key] for key in ("models", "settings")}))
    with pytest.raises(ConfigError, match="names no sources: say where the audio is with --audio"):
        names_of(ReviewRequest(found, found / "out"), ReviewSettings())
    with pytest.raises(AnnotationError, match="what rfcx-ssl detect wrote"):
        read_detections_record(found / "card")


def test_what_was_asked_is_read_from_rounds_and_tables(items, names, tmp_path):
    write_plan(items, tmp_path)
    assert read_asked(tmp_path, names)[2] == Asked("b", 2, 21.5, 22.5)
    table = tmp_path / "train_tp.csv"
    table.write_text("recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\nb,1,1,0.5,10,2.5,20\n")
    assert read_asked(table, names) == [Asked("b", 1, 0.5, 2.5)]
