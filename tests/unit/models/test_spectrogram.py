"""timm networks: frames centered where the grid says, unused blocks dropped, names checked."""

import pytest
import torch

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.spectrogram import SpectrogramEncoder, SpectrogramSettings, time_offset, timm_features

pytest.importorskip("timm")


@pytest.mark.parametrize(
    ("architecture", "offset"),
    [
        ("resnet18", 0.0),
        ("tf_efficientnet_b0", 31.0),
        ("convnext_atto", 15.5),
    ],
)
def test_offsets_of_known_paddings(architecture, offset):
    network = timm_features(SpectrogramSettings(architecture=architecture), pretrained=False)
    assert time_offset(network, 2) == offset


@pytest.mark.parametrize("architecture", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_frames_look_at_their_own_time(architecture):
    """The center of gravity of an output frame's gradient lies in the middle of its samples."""
    torch.manual_seed(0)
    encoder = SpectrogramEncoder(SpectrogramSettings(architecture=architecture, stages=2)).eval()
    frames, middle = 33, 16
    waveform = (0.1 * torch.randn(4, frames * encoder.hop_samples)).requires_grad_()
    encoder(waveform, frames)[:, middle].square().sum().backward()
    weight = waveform.grad.square().sum(0)
    center = (weight * torch.arange(len(weight))).sum() / weight.sum()
    assert abs(center.item() / encoder.hop_samples - (middle + 0.5)) < 0.25


def test_blocks_after_the_last_stage_are_dropped():
    whole = timm_features(SpectrogramSettings(architecture="test_efficientnet"), pretrained=False)
    first = timm_features(SpectrogramSettings(architecture="test_efficientnet", stages=2), pretrained=False)
    assert len(first.blocks) < len(whole.blocks)


def test_frequency_channel_makes_place_matter():
    torch.manual_seed(0)
    for channel in (False, True):
        settings = SpectrogramSettings(architecture="test_resnet", frequency_channel=channel)
        assert timm_features(settings, pretrained=False).conv1[0].in_channels == 1 + channel


def test_unknown_architecture_is_named(tiny):
    with pytest.raises(ConfigError, match="timm cannot make architecture='resnot18'"):
        tiny("timm_resnet", architecture="resnot18")


def test_local_weights_are_loaded(tiny, tmp_path):
    donor = tiny("timm_resnet", frequency_channel=False, stages=0)
    path = tmp_path / "weights.pth"
    timm = pytest.importorskip("timm")
    whole = timm.create_model("test_resnet", in_chans=3)
    torch.save(whole.state_dict(), path)
    model = tiny("timm_resnet", pretrained=True, checkpoint=str(path), frequency_channel=False, stages=0)
    torch.testing.assert_close(
        model.encoder.network.layer1[0].conv1.weight, whole.layer1[0].conv1.weight, rtol=0, atol=0
    )
    assert not torch.equal(donor.encoder.network.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
