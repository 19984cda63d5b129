"""What teachers say of a crop, against slow loops over windows and moments."""

import numpy as np
import pytest
import torch

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.window_classifier import WindowClassifier
from rfcx_ssl.selftraining.distillation.settings import TeacherSettings
from rfcx_ssl.selftraining.distillation.teachers import Teachers, open_teachers
from rfcx_ssl.species import SpeciesTable, write_species

SPECIES = SpeciesTable.of_names(("owl", "red frog", "bat"))
GRID = FrameGrid(8_000, 640)  # 80 ms
MOMENTS_HZ = 24_000  # every window and frame begins at a moment


def opened(*models, **settings):
    return TeacherSettings(models=models, **settings)


def slow_lesson(made, samples, starts, num_frames):
    """Probabilities (T, 3) of owl, red frog and bat, those of the crop (3,), and the embedding (3,): one moment after the other."""
    windows = [np.pad(samples, (0, made.window))[start : start + made.window] for start in starts]
    of_window = [1 / (1 + np.exp(-made.scores(window))) for window in windows]
    length_s, said = len(samples) / 6_000, []
    for frame in range(num_frames):
        moments_s = (np.arange(1920) + 1920 * frame + 0.5) / MOMENTS_HZ
        values = [
            np.mean(
                [p for p, start in zip(of_window, starts, strict=True) if start <= 6_000 * at < start + made.window],
                axis=0,
            )
            for at in moments_s
            if at < length_s
        ]
        said.append(np.mean(values, axis=0))
    clip = np.mean(of_window, axis=0)
    embedding = np.mean([made.features(window) for window in windows], axis=0)
    in_our_order = [3, 2, 0]  # the owl is given as rain
    return np.stack(said)[:, in_our_order], clip[in_our_order], embedding


@pytest.mark.parametrize(
    ("overlap", "starts"), [(0.0, [0, 800, 1600]), (0.5, [0, 400, 800, 1200])], ids=["side by side", "half"]
)
def test_a_foreign_teacher_gives_what_a_slow_loop_gives(foreign, overlap, starts):
    made = foreign(options=f"overlap: {overlap}\nspecies: {{owl: rain}}\n")
    samples = torch.randn(2, 1_920, generator=torch.Generator().manual_seed(1))  # 320 ms: 4 frames of the student
    scorer = WindowClassifier(made.yaml, "x", SPECIES, "cpu")
    teachers = Teachers([scorer], opened("x"), SPECIES, GRID)
    taught = teachers.hear({6_000: samples}, 4)
    assert teachers.known.tolist() == [True, True, True]
    for row, crop in enumerate(samples.double().numpy()):
        # without overlap the last window is filled with zeros; with it, it begins where it still holds the end of the crop
        frame, clip, embedding = slow_lesson(made, crop, starts, 4)
        np.testing.assert_allclose(taught.frame[row], frame, rtol=2e-5)
        np.testing.assert_allclose(taught.clip[row], clip, rtol=2e-5)
        np.testing.assert_allclose(taught.embedding[row], embedding, rtol=1e-4)


def test_several_teachers_speak_of_what_each_of_them_knows(foreign, model_dir, tmp_path):
    """A model of ours that knows the 24 species, and a classifier that knows two of them and has three times the weight."""
    write_species(SpeciesTable.of_names(["Turdus plumbeus", "Dodo", "Vireo altiloquus"]), tmp_path / "species.csv")
    made = foreign(labels="Vireo altiloquus\nDodo\nnightjar\nrain\n")
    settings = opened(str(model_dir), str(made.yaml.with_suffix(".onnx")), weights=(1.0, 3.0))
    found = open_teachers(settings, tmp_path / "species.csv", device="cpu")
    ours, theirs = found.scorers
    assert isinstance(ours, TorchScorer) and isinstance(theirs, WindowClassifier)
    assert {path.name for path in found.files} == {model_dir.name, "theirs.yaml", "theirs.onnx", "labels.txt"}
    grid = FrameGrid(8_000, ours.grid.hop_samples)
    crops = {8_000: torch.randn(2, 8_000), 6_000: torch.randn(2, 6_000)}
    frames = grid.num_frames(8_000)
    both, *single = (
        Teachers(scorers, opened(*("x" for _ in scorers), weights=weights), found.space.species, grid).hear(
            crops, frames
        )
        for scorers, weights in (((ours, theirs), (1.0, 3.0)), ((ours,), None), ((theirs,), None))
    )
    alone, other = single
    torch.testing.assert_close(both.frame[:, :, 0], alone.frame[:, :, 0])
    torch.testing.assert_close(both.frame[:, :, 1], other.frame[:, :, 1])
    torch.testing.assert_close(both.frame[:, :, 2], 0.25 * alone.frame[:, :, 2] + 0.75 * other.frame[:, :, 2])
    torch.testing.assert_close(both.clip[:, 2], 0.25 * alone.clip[:, 2] + 0.75 * other.clip[:, 2])
    torch.testing.assert_close(both.embedding, torch.cat([alone.embedding, other.embedding], dim=1))
    with torch.inference_mode():  # one window: what the model itself says
        expected = ours.model(crops[8_000]).frame_logits.sigmoid()
    number = ours.species.names.index("Turdus plumbeus")
    torch.testing.assert_close(alone.frame[:, :, 0], expected[:, :, number])
    few = Teachers(found.scorers, opened("x", "y", species=("dodo",)), found.space.species, grid)
    assert few.known.tolist() == [False, True, False]
    assert "1 of 3 species, 8 + 3 features; not taught: Turdus plumbeus, Vireo altiloquus" in few.summary()


def test_mistakes_are_one_line(foreign, tmp_path):
    made = foreign()
    scorer = WindowClassifier(made.yaml, "x", SPECIES, "cpu")
    with pytest.raises(ConfigError, match=r"teacher.species: the student has no species 'batt', did you mean 'bat'"):
        Teachers([scorer], opened("x", species=("batt",)), SPECIES, GRID)
    with pytest.raises(ConfigError, match=r"teacher.species: no teacher knows 'owl'"):
        Teachers([scorer], opened("x", species=("bat", "owl")), SPECIES, GRID)
    with pytest.raises(ConfigError, match=r"data.species_file must name the student's species"):
        open_teachers(opened(str(made.yaml)), None, device="cpu")
    with pytest.raises(ValueError, match=r"weights=\[1\]: need one for each of 2 models"):
        opened("a", "b", weights=(1,))
