"""Models are heard species by species of the reference, whatever else they know and in whatever order."""

import numpy as np
import pytest
import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.errors import CheckpointError, RunError
from rfcx_ssl.evaluation.reference import labelled_reference
from rfcx_ssl.evaluation.runs import find_model, read_run
from rfcx_ssl.evaluation.systems import hear, species_columns
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.models.build import build_model
from rfcx_ssl.species import SpeciesTable, label_space, rfcx_species


def test_columns_follow_the_names():
    assert species_columns("m", ("a", "b", "c"), ("c", "a")) == [2, 0]
    message = r"model m: its 3 species are not the 2 of the truth: it lacks x, and has a, b instead"
    with pytest.raises(CheckpointError, match=message):
        species_columns("m", ("a", "b", "c"), ("c", "x"))
    many = [f"s{i}" for i in range(9)]
    with pytest.raises(CheckpointError, match=r"it lacks s0, s1, s2 and 6 more$"):
        species_columns("m", (), many)


def test_clip_frames_and_boxes_of_a_model_with_more_species_in_another_order(settings_of, tiny_settings, tmp_path):
    (tmp_path / "complete.txt").write_text("rec00\n")
    reference = labelled_reference(settings_of(complete_file=tmp_path / "complete.txt"), None)
    names = rfcx_species().names
    torch.manual_seed(0)
    model = build_model(tiny_settings("panns"), label_space(SpeciesTable.of_names(["Extra", *reversed(names)]))).eval()
    model.save_pretrained(tmp_path / "model")
    heard = hear(read_run(tmp_path / "model"), reference, "cpu")
    model = load_model(str(tmp_path / "model"))
    waveform = torch.from_numpy(read_audio(reference.paths[0], sample_rate_hz=model.config.sample_rate_hz))
    scores = predict_recording(model, waveform)
    np.testing.assert_allclose(heard.clip[0], scores.clip.double().numpy()[:0:-1], rtol=1e-5)
    assert list(heard.frames) == [0], "frames are kept where events can be judged"
    np.testing.assert_allclose(heard.frames[0], scores.frame.numpy()[:, :0:-1], rtol=1e-5)
    expected = [scores.frame[box.frames, len(names) - box.species_id].max().item() for box in heard.boxes[0]]
    assert heard.box_scores[: len(expected)].tolist() == pytest.approx(expected)
    assert len(heard.box_scores) == sum(map(len, heard.boxes)) and len(heard.durations_s) == 12


def test_a_model_is_a_folder_or_on_the_hub(tmp_path):
    assert str(find_model("user/name").model) == "user/name" and find_model("user/name").folder is None
    with pytest.raises(RunError, match="neither a model directory nor a run folder"):
        find_model(str(tmp_path / "nothing"))
