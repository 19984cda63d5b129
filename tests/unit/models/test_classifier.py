"""The prototype classifier against a slow loop, and what it promises at the start."""

import math

import pytest
import torch

from rfcx_ssl.models.classifier import LinearSettings, Prototypes, PrototypeSettings, make_classifier
from rfcx_ssl.models.head import HeadSettings, SedHead

DIM, OUTPUTS = 12, 5


def randomize(module):
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter))
    return module


@torch.no_grad()
def slow(module, features):
    """Every frame, output and prototype for itself, in float64."""
    weight, bias = module.norm.weight.double(), module.norm.bias.double()
    result = torch.zeros(*features.shape[:2], OUTPUTS, dtype=torch.float64)
    for b in range(features.shape[0]):
        for t in range(features.shape[1]):
            x = features[b, t].double()
            x = (x - x.mean()) / math.sqrt(float(x.var(correction=0)) + module.norm.eps) * weight + bias
            for k in range(OUTPUTS):
                powers = []
                for prototype in module.prototypes[k].double():
                    cosine = float(x @ prototype / x.norm() / prototype.norm())
                    powers.append(math.exp(10 * cosine))
                likeness = math.log(sum(powers) / len(powers)) / 10
                result[b, t, k] = math.exp(float(module.log_scale[k])) * likeness + float(module.bias[k])
    return result


@pytest.mark.parametrize("per_output", [1, 4])
def test_logits_are_those_of_a_slow_loop(per_output):
    module = randomize(Prototypes(DIM, OUTPUTS, per_output, 0.05))
    features = torch.randn(2, 7, DIM, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(module(features).double(), slow(module, features), rtol=1e-4, atol=1e-4)


def test_logits_do_not_depend_on_how_loud_a_feature_is():
    module = Prototypes(DIM, OUTPUTS, 3, 0.05)
    features = torch.randn(2, 7, DIM)
    torch.testing.assert_close(module(features), module(50 * features), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("settings", [LinearSettings(), PrototypeSettings(per_output=4)])
@pytest.mark.parametrize("probability", [0.01, 0.3])
def test_before_training_every_output_says_about_its_initial_probability(settings, probability):
    torch.manual_seed(0)
    classify = make_classifier(settings, 256, 30, probability)
    with torch.no_grad():
        logits = classify(torch.nn.functional.layer_norm(torch.randn(4, 50, 256), (256,)))
    assert abs(float(logits.mean()) - math.log(probability / (1 - probability))) < 0.5


def test_an_output_with_two_sounds_needs_two_prototypes():
    """Two clusters belong to the output, what lies between them does not: no linear layer can say that."""
    torch.manual_seed(0)
    anchors = torch.eye(8)[:3]
    middle = (anchors[0] + anchors[1]) / 2
    kinds = torch.stack([anchors[0], anchors[1], middle, anchors[2]])
    features = (kinds.repeat(20, 1) + 0.02 * torch.randn(80, 8))[None]
    wanted = torch.tensor([1.0, 1.0, 0.0, 0.0]).repeat(20)[None, :, None]
    right = {}
    for settings in (LinearSettings(), PrototypeSettings(per_output=4)):
        classify = make_classifier(settings, 8, 1, 0.5)
        optimizer = torch.optim.Adam(classify.parameters(), lr=0.05)
        for _ in range(300):
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(classify(features), wanted).backward()
            optimizer.step()
        right[settings.kind] = float(((classify(features) > 0) == (wanted > 0)).float().mean())
    assert right["prototypes"] == 1.0
    assert right["linear"] < 1.0


def test_half_precision_keeps_the_logits_float32():
    module = Prototypes(DIM, OUTPUTS, 4, 0.05)
    features = torch.randn(2, 7, DIM)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = module(features.bfloat16())
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, module(features), rtol=0.1, atol=0.1)


def test_the_head_uses_it_and_its_settings_are_checked():
    head = SedHead(HeadSettings(classify=PrototypeSettings(per_output=2)), DIM, OUTPUTS)
    assert head.classify.prototypes.shape == (OUTPUTS, 2, DIM)
    assert head(torch.randn(2, 7, DIM)).frame_logits.shape == (2, 7, OUTPUTS)
    with pytest.raises(ValueError, match="per_output=0 must be 1 or more"):
        PrototypeSettings(per_output=0)
