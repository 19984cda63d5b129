"""The log-mel extractor and the wav2vec 2.0 model on it: what a frame may depend on, and what it must not."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.mel_extractor import MelExtractor, MelExtractorSettings, local_mean
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig, Wav2Vec2MelForPreTraining, Wav2Vec2MelModel
from rfcx_ssl.settings import from_plain

RATE_HZ = 32_000


@pytest.fixture
def extractor(mel_extractor):
    torch.manual_seed(0)
    return MelExtractor(from_plain(MelExtractorSettings, mel_extractor, "mel_extractor"), RATE_HZ).eval()


def _transformer(mel_extractor, kind=Wav2Vec2MelModel):
    torch.manual_seed(0)
    config = Wav2Vec2MelConfig(
        mel_extractor=mel_extractor,
        sample_rate_hz=RATE_HZ,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2,
        do_stable_layer_norm=True,
        layerdrop=0.0,
        num_codevectors_per_group=4,
        codevector_dim=8,
        proj_codevector_dim=8,
    )
    return kind(config).eval()


def _noise(seed, *shape):
    return 0.05 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 99), lead=st.integers(0, 30), tail=st.integers(0, 30), loudness=st.floats(-3, 1))
@settings(max_examples=10, deadline=None)
def test_a_frame_depends_on_audio_within_its_reach_alone(mel_extractor, seed, lead, tail, loudness):
    """Whatever precedes and follows, however loud: a frame farther than the reach from it stays as it is."""
    extractor = MelExtractor(from_plain(MelExtractorSettings, mel_extractor, "mel_extractor"), RATE_HZ).eval()
    hop = extractor.settings.hop_samples
    reach = math.ceil(extractor.reach_s * RATE_HZ / hop)
    audio = _noise(seed, 1, (2 * reach + 6) * hop)
    around = 10**loudness * _noise(seed + 100, 1, (lead + tail) * hop)
    longer = torch.cat([around[:, : lead * hop], audio, around[:, lead * hop :]], dim=1)
    with torch.no_grad():
        alone, within = extractor(audio), extractor(longer)
    inner = slice(reach, alone.shape[2] - reach)
    shifted = within[:, :, lead : lead + alone.shape[2]]
    torch.testing.assert_close(shifted[:, :, inner], alone[:, :, inner], rtol=1e-3, atol=1e-4)


def test_the_reach_is_not_an_exaggeration(extractor):
    """Audio just inside the reach does change a frame, so the promise above is about the model, not about the number."""
    hop = extractor.settings.hop_samples
    reach = math.ceil(extractor.reach_s * RATE_HZ / hop)
    audio = _noise(0, 1, (2 * reach + 1) * hop)
    changed = audio.clone()
    changed[:, : 2 * hop] += _noise(1, 1, 2 * hop) * 40
    with torch.no_grad():
        difference = (extractor(changed) - extractor(audio)).abs().amax(dim=1)[0]
    assert difference[reach - 2] > 5e-5  # rounding alone gives 2e-6


def test_frames_are_centered_on_their_samples(extractor):
    """The gradient of a frame in the middle is as far to the left as to the right of the frame's own center."""
    hop = extractor.settings.hop_samples
    reach = math.ceil(extractor.reach_s * RATE_HZ / hop)
    middle = reach + 1
    audio = _noise(0, 1, (2 * reach + 3) * hop).requires_grad_()
    power = extractor.mel(audio, (2 * reach + 3) * extractor.settings.mel_frames)
    assert power.requires_grad, "mel itself is differentiable; the extractor asks for no gradient of it"
    first = middle * extractor.settings.mel_frames
    power[0, first : first + extractor.settings.mel_frames].sum().backward()
    touched = audio.grad[0].nonzero().squeeze(1)
    center = (touched.min().item() + touched.max().item() + 1) / 2
    assert abs(center - (middle + 0.5) * hop) <= 2
    level = torch.zeros(1, 1, (2 * reach + 3) * extractor.settings.mel_frames, extractor.settings.mel.n_mels)
    level.requires_grad_()
    x = level
    for conv in extractor.convs:
        x = conv(x)
    x[0, :, middle].sum().backward()
    rows = level.grad[0, 0].abs().sum(dim=1).nonzero().squeeze(1)
    expected = (middle + 0.5) * extractor.settings.mel_frames
    # a stride behind a stride can only be centered on whole frames of what it reads
    assert abs((rows.min().item() + rows.max().item() + 1) / 2 - expected) <= 0.5


@given(data=st.data())
@settings(max_examples=10, deadline=None)
def test_padding_changes_no_frame_of_the_model(mel_extractor, data):
    """A batch padded to any length, with anything in the padding, gives each recording what it gives alone."""
    model = _transformer(mel_extractor)
    hop = model.config.hop_samples
    lengths = data.draw(st.lists(st.integers(2 * hop, 24 * hop), min_size=2, max_size=3))
    spare = data.draw(st.integers(0, 5 * hop))
    garbage = data.draw(st.sampled_from([0.0, 1.0]))
    batch = garbage * _noise(1, len(lengths), max(lengths) + spare)
    for row, length in enumerate(lengths):
        batch[row, :length] = _noise(row + 2, length)
    mask = (torch.arange(batch.shape[1])[None] < torch.tensor(lengths)[:, None]).long()
    with torch.no_grad():
        together = model(batch, attention_mask=mask).last_hidden_state
        for row, length in enumerate(lengths):
            alone = model(batch[row : row + 1, :length]).last_hidden_state[0]
            torch.testing.assert_close(together[row, : len(alone)], alone, rtol=1e-3, atol=1e-4)
    assert model.feature_extractor.lengths is None


def test_level_and_recorder_leave_no_trace(extractor):
    """A gain, and an equalizer that is constant in time, cancel where the sound is far above the floor."""
    hop = extractor.settings.hop_samples
    audio = 0.3 * torch.randn(1, 40 * hop, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        plain, louder = extractor(audio), extractor(3 * audio)
    torch.testing.assert_close(louder, plain, rtol=1e-2, atol=2e-3)


@given(size=st.integers(1, 40), half=st.integers(1, 50), real=st.integers(1, 40), offset=st.floats(-1e3, 1e3))
@settings(max_examples=40, deadline=None)
def test_local_means_are_those_of_a_slow_loop(size, half, real, offset):
    rng = np.random.default_rng(size * 100 + half)
    values = rng.normal(offset, 1, (2, 3, size))
    real = min(real, size)
    inside = (np.arange(size) < real).astype(np.float64)
    expected = np.zeros_like(values)
    for t in range(real):
        near = list(range(max(0, t - half), min(real, t + half + 1)))
        expected[:, :, t] = values[:, :, near].mean(axis=2)
    found = local_mean(torch.tensor(values).float(), half, torch.tensor(inside).float()[None, None])
    np.testing.assert_allclose(found[:, :, :real].numpy(), expected[:, :, :real], rtol=1e-5, atol=1e-4)


def test_every_architecture_survives_saving_and_autocast(mel_extractor, tmp_path):
    model = _transformer(mel_extractor, Wav2Vec2MelForPreTraining)
    model.save_pretrained(tmp_path)
    audio = _noise(0, 2, 30 * model.config.hop_samples)
    for kind, ours in ((AutoModel, model.wav2vec2), (AutoModelForPreTraining, model)):
        loaded = kind.from_pretrained(tmp_path).eval()
        assert AutoConfig.from_pretrained(tmp_path).mel_extractor == model.config.mel_extractor
        with torch.no_grad():
            assert torch.equal(loaded(audio)[0], ours(audio)[0])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = model.wav2vec2(audio).last_hidden_state.float()
    with torch.no_grad():
        exact = model.wav2vec2(audio).last_hidden_state
    assert (
        rough - exact
    ).abs().mean() < 0.25 * exact.abs().mean()  # .01, but for four random layers: they hardly vary


def test_half_precision_leaves_the_mel_alone(mel_extractor):
    """fairseq turns a whole model into bf16, buffers included; a rounded window would leak."""
    model = _transformer(mel_extractor)
    window = model.feature_extractor.mel.window.clone()
    audio = _noise(0, 1, 30 * model.config.hop_samples)
    with torch.no_grad():
        exact = model(audio).last_hidden_state
        model.bfloat16()
        assert torch.equal(model.feature_extractor.mel.window, window)
        rough = model(audio.bfloat16()).last_hidden_state
    assert rough.dtype == torch.bfloat16
    assert (rough.float() - exact).abs().mean() < 0.25 * exact.abs().mean()


def test_a_waveform_in_bf16_has_noise_56_db_below_the_sound():
    """What bf16 training hears (docs/pretraining.md): 8 bits of significand, rounded uniformly."""
    audio = _noise(0, 1, 64_000)
    error = audio.bfloat16().float() - audio
    ratio_db = 10 * torch.log10(audio.square().mean() / error.square().mean())
    assert 54 < ratio_db < 58


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bands": 3}, r"mel_extractor\.bands: unknown key"),
        ({"mel": {"hop": 3}}, r"mel_extractor\.mel\.hop: unknown key"),
        ({"channels": [1], "time_strides": [1, 2]}, "one entry per convolution"),
        ({"dim": 0}, "must be 1 or more"),
        ({"normalize_s": 0}, "must be above 0"),
        ({"mel": {"alignment": "center"}}, "must be 'frame'"),
    ],
)
def test_wrong_settings_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        Wav2Vec2MelConfig(mel_extractor=values)
