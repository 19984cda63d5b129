"""What is refused once the corpus and the number of processes are known: mixing with nobody, silence from nowhere."""

import numpy as np
import pytest

from rfcx_ssl.augment import AugmentSettings
from rfcx_ssl.augment.cutmix import CallCutMixSettings
from rfcx_ssl.augment.mixup import MixupSettings
from rfcx_ssl.config import load_settings
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels.pseudo import write_pseudo_labels
from rfcx_ssl.losses.settings import ActivitySettings, LossSettings
from rfcx_ssl.training.learner import make_accelerator
from rfcx_ssl.training.rules import check_activity, check_mixing, has_silence
from rfcx_ssl.training.train import TrainSettings, build_parts

MIXUP, CUTMIX = AugmentSettings(mixup=MixupSettings(p=0.5)), AugmentSettings(cutmix=CallCutMixSettings(p=0.3))


@pytest.mark.parametrize(
    ("batch_size", "micro_batch_size", "processes", "is_alone"),
    [(4, None, 1, False), (4, 1, 1, True), (4, 2, 2, False), (4, None, 4, True), (4, 1, 2, True), (1, None, 1, True)],
)
@pytest.mark.parametrize(("augment", "key"), [(MIXUP, "augment.mixup.p=0.5"), (CUTMIX, "augment.cutmix.p=0.3")])
def test_mixing_needs_two_clips_in_a_forward_pass(
    toy, batch_size, micro_batch_size, processes, is_alone, augment, key
):
    loop = toy.LoopSettings(output_dir="x", max_steps=1, batch_size=batch_size, micro_batch_size=micro_batch_size)
    check_mixing(loop, AugmentSettings(), processes)  # nothing to mix: any size will do
    if not is_alone:
        check_mixing(loop, augment, processes)
        return
    said = (
        f"{key}: .*batch_size={batch_size}, micro_batch_size={micro_batch_size}, {processes} processes.*raise micro_b"
    )
    with pytest.raises(ConfigError, match=said):
        check_mixing(loop, augment, processes)


def run_settings(forest, *overrides):
    return load_settings(
        TrainSettings,
        "finetune",
        "train",
        [
            "model=panns_demo", "model.window_s=1.0", "model.sample_rate_hz=16000", "model.mel.f_max_hz=8000",
            f"data.root={forest}", "data.sample_rate_hz=16000", "data.crop_s=1.0", "data.num_folds=3",
            "output_dir=x", "max_steps=1", "batch_size=4", *overrides,
        ],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["micro_batch_size=1"], r"augment.mixup.p=0.5: .*batch_size=4, micro_batch_size=1, 1 processes"),
        (["model.head.activity=multiply", "loss.activity.weight=0.5"], "would learn that something always calls"),
        (["loss.activity.weight=0.5"], "needs model.head.activity"),
    ],
)
def test_a_run_is_refused_before_its_first_step(forest, monkeypatch, overrides, said):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    settings = run_settings(forest, *overrides)
    with pytest.raises(ConfigError, match=said):
        build_parts(settings, make_accelerator(settings))


def pseudo_labels(path, corpus, low, recordings=("rec00",), outputs=None):
    """A file in which one frame of each recording has ``low`` for every output; all others hold a call."""
    names = corpus.space.output_names if outputs is None else corpus.space.output_names[:outputs]
    scores = np.full((40, len(names)), 0.01, np.float32)
    scores[:, 0] = 0.9
    scores[7] = low
    write_pseudo_labels(path, [(name, scores, 1.0) for name in recordings], output_names=names, frame_s=0.1)
    return path


def test_silence_comes_from_complete_recordings(settings_of, tmp_path):
    assert not has_silence(load_corpus(settings_of()), fold=0)
    corpus = load_corpus(settings_of())
    valid = corpus.recordings(0, "valid")[0].recording_id
    train = corpus.recordings(0, "train")[0].recording_id
    for name, expected in ((train, True), (valid, False)):
        file = tmp_path / f"{name}.txt"
        file.write_text(f"{name}\n")
        assert has_silence(load_corpus(settings_of(complete_file=file)), fold=0) is expected


@pytest.mark.parametrize(
    ("low", "min_probability", "outputs", "expected"),
    [
        (0.05, 0.0, None, True),
        (0.6, 0.0, None, False),  # something always calls
        (0.05, 0.3, None, False),  # what is low stays unknown
        (0.4, 0.3, None, True),
        (0.05, 0.0, 20, False),  # four outputs that this teacher does not know may call
    ],
)
def test_silence_comes_from_pseudo_labels_that_are_low_for_every_output(
    settings_of, tmp_path, low, min_probability, outputs, expected
):
    plain = load_corpus(settings_of())
    train = plain.recordings(0, "train")[0].recording_id
    path = pseudo_labels(tmp_path / "teacher.parquet", plain, low, [train], outputs)
    corpus = load_corpus(settings_of(pseudo=PseudoSettings(files=(path,), min_probability=min_probability)))
    assert has_silence(corpus, fold=0) is expected


def test_pseudo_labels_do_not_need_to_name_the_noise_class(settings_of, tmp_path):
    plain = load_corpus(settings_of(noise_class=True))
    train = plain.recordings(0, "train")[0].recording_id
    path = pseudo_labels(tmp_path / "teacher.parquet", plain, 0.05, [train], outputs=plain.space.num_species)
    assert has_silence(load_corpus(settings_of(noise_class=True, pseudo=PseudoSettings(files=(path,)))), fold=0)


def test_an_activity_head_needs_a_loss_and_silence(settings_of):
    corpus = load_corpus(settings_of())
    plain, activity = LossSettings(), LossSettings(activity=ActivitySettings())
    weak = LossSettings(activity=ActivitySettings(silence_weight=0.1))
    check_activity(plain, "none", corpus, 0)
    for head in ("auxiliary", "multiply"):
        check_activity(weak, head, corpus, 0)
        with pytest.raises(ConfigError, match=rf"activity={head} would learn .*complete_file.*pseudo.*silence_weight"):
            check_activity(activity, head, corpus, 0)
    with pytest.raises(ConfigError, match="activity=multiply would learn that something always calls"):
        check_activity(plain, "multiply", corpus, 0)
    with pytest.raises(ConfigError, match=r"loss\.activity needs model\.head\.activity"):
        check_activity(weak, "none", corpus, 0)
    with pytest.raises(ConfigError, match=r"trained by loss\.activity alone"):
        check_activity(plain, "auxiliary", corpus, 0)


def test_a_complete_corpus_may_multiply_without_a_loss_of_its_own(settings_of, tmp_path):
    names = [recording.recording_id for recording in load_corpus(settings_of()).recordings(0, "train")]
    (tmp_path / "complete.txt").write_text("\n".join(names))
    corpus = load_corpus(settings_of(complete_file=tmp_path / "complete.txt"))
    check_activity(LossSettings(), "multiply", corpus, 0)
    check_activity(LossSettings(activity=ActivitySettings()), "auxiliary", corpus, 0)
