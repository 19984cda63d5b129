"""What is quick on a CPU says the same as what was trained, which stays as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.open import open_scorer
from rfcx_ssl.inference.quick import quick_copy
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.winograd import WinogradConv, gains


@pytest.fixture
def lived_in(tiny):
    """A small CNN, wide enough for quick convolutions, whose batch norms have statistics and weights of their own."""
    model = tiny("panns", channels=(64, 72), embedding_dim=8)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(0.3 * torch.randn(tensor.shape, generator=generator))
    return model


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 4), (5, 9), (37, 16), (130, 5)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_quick_convolution_is_a_convolution(size, bias):
    torch.manual_seed(0)
    conv = nn.Conv2d(66, 70, 3, padding=1, bias=bias).requires_grad_(False)
    x = torch.randn(3, 66, *size)
    expected = F.conv2d(x.double(), conv.weight.double(), None if conv.bias is None else conv.bias.double(), padding=1)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = WinogradConv(conv)(x.contiguous(memory_format=layout))
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel_size": 5, "padding": 2},
        {"padding": 0},
        {"stride": 2},
        {"dilation": 2},
        {"groups": 2},
        {"padding_mode": "circular"},
        {"in_channels": 2},
        {"in_channels": 1024, "out_channels": 1024},
    ],
)
def test_other_convolutions_stay_as_they_are(changes):
    asked = {"in_channels": 64, "out_channels": 64, "kernel_size": 3, "padding": 1}
    with torch.device("meta"):
        assert gains(nn.Conv2d(**asked)) and not gains(nn.Conv2d(**(asked | changes)))


@pytest.mark.parametrize("samples", [2_000, 8_000, 8_001])
def test_an_opened_model_says_what_was_trained(lived_in, tmp_path, samples):
    lived_in.save_pretrained(tmp_path)
    scorer = open_scorer(str(tmp_path), device="cpu")
    network = scorer._network
    assert sum(isinstance(module, WinogradConv) for module in network.modules()) == 3
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == 1  # that of the mel bands
    noise = 0.1 * torch.randn(3, samples, generator=torch.Generator().manual_seed(samples))
    expected = TorchScorer(lived_in, "slow")(noise)
    assert expected.frame.std() > 1e-3
    for ours, theirs in zip(scorer(noise), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_model_itself_stays_what_its_checkpoint_says(lived_in, tmp_path):
    before = {name: tensor.clone() for name, tensor in lived_in.state_dict().items()}
    scorer = TorchScorer(lived_in, "it", quick=True)
    scorer(torch.zeros(1, 8_000))
    scorer.model.save_pretrained(tmp_path)
    after = load_model(str(tmp_path)).state_dict()
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=0)


def test_a_copy_shares_what_is_not_folded(lived_in):
    quick = quick_copy(lived_in)
    assert quick.head.classify.weight is lived_in.head.classify.weight
    assert quick.encoder.mel.filters is lived_in.encoder.mel.filters


def test_nothing_is_copied_where_nothing_is_gained(tiny):
    model = tiny("timm_resnet")
    assert quick_copy(model) is model


def test_other_arithmetic_runs_the_network_as_it_is(model_dir):
    rough = open_scorer(str(model_dir), device="cpu", precision="bf16")
    assert rough._network is rough.model
