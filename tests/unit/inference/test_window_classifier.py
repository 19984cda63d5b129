"""Somebody else's classifier, described by a YAML: its windows, its classes by name, its mistakes in one line."""

import numpy as np
import pytest
import torch

from rfcx_ssl.errors import AudioError, CheckpointError, ConfigError
from rfcx_ssl.inference.classifier_file import description_of, match_classes, read_classes
from rfcx_ssl.inference.window_classifier import WindowClassifier
from rfcx_ssl.species import SpeciesTable

SPECIES = SpeciesTable.of_names(("red frog", "Small Owl", "bat"))


def test_what_a_window_says_holds_for_all_of_it(foreign):
    """Against numpy: normalized windows, every frame the window's probability, our species in our order, the rest left out."""
    made = foreign(window=800, options="remove_mean: true\npeak: 0.25\nactivation: softmax\noverlap: 0.5\n")
    scorer = WindowClassifier(made.yaml, "theirs", SPECIES, "cpu")
    assert scorer.species.names == ("red frog", "bat") and scorer.embedding_dim == 3
    assert (scorer.grid.sample_rate_hz, scorer.grid.hop_samples, scorer.windows) == (
        6000,
        400,
        (800 / 6000, 0.5, "mean"),
    )
    for length in (800, 700, 1):
        waveform = torch.randn(2, length, generator=torch.Generator().manual_seed(length))
        answer = scorer(waveform)
        for row, samples in enumerate(waveform.double().numpy()):
            window = np.zeros(800)
            window[:length] = samples
            window -= window.mean()
            window *= 0.25 / np.abs(window).max()
            odds = np.exp(made.scores(window))
            expected = (odds / odds.sum())[[2, 0]]
            assert answer.frame.shape == (2, -(-length // 400), 2)
            for frame in answer.frame[row]:
                np.testing.assert_allclose(frame, expected, rtol=1e-5)
            np.testing.assert_allclose(answer.clip[row], expected, rtol=1e-5)
            np.testing.assert_allclose(answer.embedding[row], made.features(window), rtol=1e-4, atol=1e-5)
    with pytest.raises(AudioError, match=r"801 samples are more than the window of 800"):
        scorer(torch.zeros(1, 801))


def test_a_graph_for_one_window_at_a_time(foreign):
    waveform = torch.randn(3, 800)
    many, one = (WindowClassifier(foreign(batch=batch).yaml, "x", SPECIES, "cpu")(waveform) for batch in ("n", 1))
    torch.testing.assert_close(one, many)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"options": "species: {red frg: nightjar}\n"}, ConfigError, "species.red frg: no species of this project, did you mean 'red frog'"),
        ({"options": "species: {Small Owl: nightjr}\n"}, ConfigError, "species.Small Owl='nightjr' is no class, did you mean 'nightjar'"),
        ({"labels": "bat\nnightjar\nred frog\nBAT\n"}, ConfigError, "'bat' may be 'bat' and 'BAT': say which under species"),
        ({"labels": "bat\nnightjar\n"}, CheckpointError, "0 outputs are 2 wide, as the class list is long: set scores"),
        ({"options": "scores: features\n"}, CheckpointError, "scores='features' is no output of 4 classes"),
        ({"options": "embedding: sound\n"}, CheckpointError, r"embedding='sound' is no other output .*: logits \(4\), features \(3\)"),
        ({"options": "window_samples: 900\n"}, CheckpointError, "window_samples=900, but the graph takes 800"),
        ({"samples": "any"}, CheckpointError, "takes any length: window_samples must say which"),
        ({"batch": 2}, CheckpointError, "takes 2 windows at a time"),
        ({"options": "overlap: 0.333\n"}, ConfigError, "overlap=0.333 is no simple share of a window of 800 samples"),
        ({"options": "sample_rate: 3\n"}, ConfigError, "sample_rate: unknown key, did you mean 'sample_rate_hz'"),
        ({"options": "model: gone.onnx\n"}, CheckpointError, "model: there is no file .*gone.onnx"),
        ({"options": "activation: none\n", "call": True}, CheckpointError, "scores are no probabilities: set activation"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(foreign, changes, error, message):
    made = foreign(**{key: value for key, value in changes.items() if key != "call"})
    with pytest.raises(error, match=message) as caught:
        scorer = WindowClassifier(made.yaml, "x", SPECIES, "cpu")
        assert changes.get("call")
        scorer(torch.randn(1, 800))
    assert "\n" not in str(caught.value)


def test_class_lists_of_all_kinds(tmp_path):
    (tmp_path / "birdnet.txt").write_text("Turdus plumbeus_Red-legged Thrush\nnoise\n")
    (tmp_path / "perch.csv").write_text("inat2024\nTurdus plumbeus\nRana_x_y\n")
    (tmp_path / "three.csv").write_text("﻿sci_name;com_name\nTurdus plumbeus;Red-legged Thrush\n")
    assert read_classes(tmp_path / "birdnet.txt") == [
        ("Turdus plumbeus_Red-legged Thrush", "Turdus plumbeus", "Red-legged Thrush"), ("noise",)
    ]  # fmt: skip
    assert read_classes(tmp_path / "perch.csv") == [("Turdus plumbeus",), ("Rana_x_y",)]
    assert read_classes(tmp_path / "three.csv") == [("Turdus plumbeus", "Red-legged Thrush")]
    species = SpeciesTable.of_names(("owl", "red-legged  THRUSH"))
    for name in ("birdnet.txt", "three.csv"):
        assert match_classes(species, read_classes(tmp_path / name), {}, "x") == {1: 0}
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(ConfigError, match=r"empty.txt: lists no classes"):
        read_classes(tmp_path / "empty.txt")


def test_an_onnx_file_is_foreign_where_a_yaml_lies_beside_it(foreign, tmp_path):
    made = foreign()
    assert description_of(str(made.yaml)) == description_of(str(made.yaml.with_suffix(".onnx"))) == made.yaml
    assert description_of(str(tmp_path / "ours.onnx")) is None and description_of("RUN/model") is None
