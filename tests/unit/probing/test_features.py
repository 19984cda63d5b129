import numpy as np
import pytest
import torch

from rfcx_ssl.data import load_corpus
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.probing.features import judged_frames, load_or_hear, plan_key, windows
from rfcx_ssl.probing.listeners import Listener


class Echo(Listener):
    """Mean and largest sample of each frame; counts how often it is asked."""

    sample_rate_hz, hop_samples, extractor_dim, num_states, dim = 16_000, 1600, 1, 1, 2
    key = "echo"

    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, waveform):
        self.calls += 1
        rows = waveform.reshape(-1, self.hop_samples)
        return torch.stack([rows.mean(dim=1), rows.amax(dim=1), 1e6 * torch.ones(len(rows))], dim=1)


@pytest.fixture
def corpus(settings_of):
    return load_corpus(settings_of())


@pytest.fixture
def frames(corpus):
    return judged_frames(corpus, corpus.folds.recording_ids, FrameGrid(16_000, 1600))


def test_judged_frames_are_those_with_a_known_output(corpus, frames):
    start = 0
    for place, name in enumerate(frames.recording_ids):
        target, known = corpus.frame_labels(name, frames.grid)
        rows = [t for t in range(len(known)) if known[t].any()]
        stop = start + len(rows)
        assert frames.place[start:stop].tolist() == rows
        assert (frames.recording[start:stop] == place).all()
        np.testing.assert_array_equal(frames.target[start:stop], target[rows])
        np.testing.assert_array_equal(frames.known[start:stop], known[rows])
        start = stop
    assert start == len(frames.place) > 100


def test_rows_of_recordings(frames):
    rows = frames.of(["rec03", "rec05"])
    assert {frames.recording_ids[i] for i in frames.recording[rows]} == {"rec03", "rec05"}
    assert len(rows) == sum(frames.recording_ids[i] in ("rec03", "rec05") for i in frames.recording)


@pytest.mark.parametrize(
    ("kept", "expected"),
    [
        ([], []),
        ([5], [(3, 8, [5])]),
        ([0, 4, 20], [(0, 7, [0, 4]), (18, 23, [20])]),
        (list(range(10, 20)), [(8, 17, [10, 11, 12, 13, 14]), (13, 22, [15, 16, 17, 18, 19])]),
    ],
)
def test_windows(kept, expected):
    found = windows(np.array(kept, np.int64), context=2, longest=6)
    assert [(window.start, window.stop, window.kept.tolist()) for window in found] == expected


def test_every_kept_frame_is_in_one_window_and_no_window_is_long():
    kept = np.flatnonzero(np.random.default_rng(0).random(500) < 0.2)
    found = windows(kept, context=3, longest=20)
    assert np.concatenate([window.kept for window in found]).tolist() == kept.tolist()
    assert max(window.kept[-1] - window.kept[0] for window in found) < 20


def test_features_are_those_of_the_frames_themselves(tmp_path, corpus, frames):
    features = load_or_hear(tmp_path, Echo(), corpus, frames)
    rows = np.arange(len(frames.place))
    states, extracted = features.states(rows), features.extractor(rows)
    assert states.shape == (len(rows), 1, 2)
    for row in rows[::17]:
        waveform = corpus.read(frames.recording_ids[frames.recording[row]], frames.place[row] * 1600, 1600)
        assert extracted[row].item() == pytest.approx(waveform.mean(), abs=1e-4)
        assert states[row, 0, 0].item() == pytest.approx(waveform.max(), abs=1e-3)
    assert states[0, 0, 1].item() == 65504  # cut off where float16 ends
    assert isinstance(features.table, np.memmap)


def test_a_second_call_hears_nothing(tmp_path, corpus, frames):
    first, again = Echo(), Echo()
    one, two = (load_or_hear(tmp_path, listener, corpus, frames) for listener in (first, again))
    assert first.calls > 0 == again.calls
    np.testing.assert_array_equal(one.table, two.table)
    assert [path.name for path in (tmp_path / "echo").iterdir()] == [f"{plan_key(corpus, frames)}.npy"]


def test_a_stopped_build_goes_on_and_gives_the_same(tmp_path, corpus, frames):
    class Stopped(Echo):
        def forward(self, waveform):
            if self.calls == 5:
                raise KeyboardInterrupt
            return super().forward(waveform)

    with pytest.raises(KeyboardInterrupt):
        load_or_hear(tmp_path / "cut", Stopped(), corpus, frames)
    folder = tmp_path / "cut" / "echo"
    assert not list(folder.glob("*.npy"))
    assert len(list(folder.rglob("*"))) < 8
    assert not list(folder.rglob("*.tmp"))
    rest, whole = Echo(), Echo()
    resumed = load_or_hear(tmp_path / "cut", rest, corpus, frames)
    np.testing.assert_array_equal(resumed.table, load_or_hear(tmp_path / "whole", whole, corpus, frames).table)
    assert rest.calls < whole.calls


def test_other_audio_or_other_labels_are_heard_anew(settings_of, copied_forest):
    grid = FrameGrid(16_000, 1600)
    corpus = load_corpus(settings_of(root=copied_forest))
    names = corpus.folds.recording_ids
    key = plan_key(corpus, judged_frames(corpus, names, grid))
    assert key == plan_key(corpus, judged_frames(corpus, names, grid))
    assert key != plan_key(corpus, judged_frames(corpus, names[1:], grid))
    path = copied_forest / "train" / "rec00.flac"
    path.write_bytes(path.read_bytes() + b"\0")
    assert key != plan_key(corpus, judged_frames(corpus, names, grid))


def test_ticks_count_recordings(tmp_path, corpus, frames):
    seen = []
    load_or_hear(tmp_path, Echo(), corpus, frames, tick=lambda done, total: seen.append((done, total)))
    assert seen[0] == (1, 12)
    assert seen[-1] == (12, 12)
