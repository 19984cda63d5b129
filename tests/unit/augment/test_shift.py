import numpy as np
import pytest
import torch

from rfcx_ssl.augment.shift import TimeShiftAugmentation, TimeShiftSettings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch

HOP = 640


def moved_by_loop(batch: Batch, shifts: list[int], fill: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sample by frame, in plain loops: waveform, target, known."""
    waveform, target, known = (np.zeros(field.shape, np.float32) for field in batch[:3])
    size, samples = batch.waveform.shape
    frames, whole = batch.target.shape[1], samples // HOP
    for crop in range(size):
        for frame in range(frames):
            source = frame - shifts[crop]
            if fill == "roll":
                source = source % whole if frame < whole else frame
            if not 0 <= source < frames:
                continue
            target[crop, frame], known[crop, frame] = batch.target[crop, source], batch.known[crop, source]
            piece = batch.waveform[crop, source * HOP : (source + 1) * HOP].numpy()
            room = waveform[crop, frame * HOP : (frame + 1) * HOP]
            length = min(len(piece), len(room))
            room[:length] = piece[:length]
    return waveform, target, known


@pytest.mark.parametrize("fill", ["roll", "zero"])
@pytest.mark.parametrize("samples", [6_400, 6_401, 6_999])
def test_matches_a_loop(fill, samples, grid, make_batch) -> None:
    batch = make_batch(size=7, samples=samples, outputs=3)
    module = TimeShiftAugmentation(TimeShiftSettings(p=1.0, max_shift_s=10, fill=fill), grid, coverage=0.5)
    shifts = [0, 1, -1, 4, -4, samples // HOP - 1, 1 - samples // HOP]
    moved = module.transform(batch, {"shift_frames": torch.tensor(shifts), "rows": torch.arange(7)})
    for actual, expected in zip(moved[:3], moved_by_loop(batch, shifts, fill), strict=True):
        np.testing.assert_array_equal(actual.numpy(), expected)


def test_roll_keeps_clip_labels_and_zero_doubts_what_left() -> None:
    grid = FrameGrid(1_000, 10)
    target = torch.zeros(1, 10, 3)
    target[0, 0:4, 0] = 1.0  # half of this call leaves
    target[0, 1:2, 1] = 1.0  # all of this call leaves
    known = torch.ones(1, 10, 3)
    clip = torch.tensor([[1.0, 1.0, 0.0]])
    batch = Batch(torch.randn(1, 100), target, known, clip, torch.ones(1, 3), torch.zeros(1, dtype=torch.int64))
    draws = {"shift_frames": torch.tensor([-2]), "rows": torch.arange(1)}
    rolled = TimeShiftAugmentation(TimeShiftSettings(p=1.0, fill="roll"), grid, coverage=0.5).transform(batch, draws)
    assert torch.equal(rolled.clip_target, clip) and torch.equal(rolled.clip_known, torch.ones(1, 3))
    filled = TimeShiftAugmentation(TimeShiftSettings(p=1.0, fill="zero"), grid, coverage=0.5).transform(batch, draws)
    assert filled.clip_target.tolist() == [[1.0, 0.0, 0.0]] and filled.clip_known.tolist() == [[1.0, 0.0, 1.0]]
    assert filled.known[0, -2:].sum() == 0 and filled.waveform[0, -20:].abs().sum() == 0
    strict = TimeShiftAugmentation(TimeShiftSettings(p=1.0, fill="zero"), grid, coverage=0.6)
    assert strict.transform(batch, draws).clip_known.tolist() == [[0.0, 0.0, 1.0]]


def test_shifts_are_whole_frames_within_the_limit(grid, make_batch) -> None:
    batch = make_batch(size=500, samples=HOP * 40, outputs=1)
    module = TimeShiftAugmentation(TimeShiftSettings(p=1.0, max_shift_s=0.1), grid, coverage=0.5)
    shift = module.draw(batch, torch.Generator().manual_seed(0))["shift_frames"]
    assert shift.dtype == torch.int64 and set(shift.tolist()) == set(range(-5, 6))


def test_a_crop_shorter_than_a_frame_is_left_alone(grid, make_batch) -> None:
    batch = make_batch(size=2, samples=600)
    for fill in ("roll", "zero"):
        module = TimeShiftAugmentation(TimeShiftSettings(p=1.0, fill=fill), grid, coverage=0.5)
        torch.testing.assert_close(module(batch, torch.Generator().manual_seed(0)), batch)


@pytest.mark.parametrize("values", [{"p": 2.0}, {"max_shift_s": -1.0}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        TimeShiftSettings(**{"p": 1.0, **values})


def test_a_tag_loses_weight_with_the_audio_and_rolls_without_loss() -> None:
    nothing = torch.zeros(3, 10, 1)
    clip = torch.ones(3, 1), torch.full((3, 1), 0.5)
    batch = Batch(torch.randn(3, 100), nothing, nothing, *clip, torch.arange(3))
    draws = {"shift_frames": torch.tensor([-2, 0, 5]), "rows": torch.arange(3)}
    for fill, left in (("zero", [0.8, 1.0, 0.5]), ("roll", [1.0, 1.0, 1.0])):
        module = TimeShiftAugmentation(TimeShiftSettings(p=1.0, fill=fill), FrameGrid(1_000, 10), coverage=0.5)
        moved = module.transform(batch, draws)
        assert moved.clip_target.tolist() == [[1.0]] * 3
        np.testing.assert_allclose(moved.clip_known[:, 0].numpy(), 0.5 * np.array(left), rtol=1e-6)
