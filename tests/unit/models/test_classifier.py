"""The prototype classifier against a slow loop, and what it promises at the start."""

import math

import pytest
import torch

from rfcx_ssl.config import check_settings, load_settings, settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.classifier import LinearSettings, Prototypes, PrototypeSettings, make_classifier
from rfcx_ssl.models.head import HeadSettings, SedHead
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.settings import ModelSettings

DIM, OUTPUTS = 12, 5
PROTOTYPES = {"classify": {"kind": "prototypes", "per_output": 3}}


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


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_mel"])
def test_padding_changes_nothing(tiny, name):
    model = tiny(name, head=PROTOTYPES)
    short, long = 0.1 * torch.randn(1, 3003), 0.1 * torch.randn(1, 5003)
    padded = torch.cat([short, torch.full((1, 2000), 7.0)], dim=1)
    with torch.inference_mode():
        alone, batch = model(short), model(torch.cat([padded, long]), lengths=torch.tensor([3003, 5003]))
    frames = alone.frame_logits.shape[1]
    torch.testing.assert_close(batch.frame_logits[:1, :frames], alone.frame_logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(batch.clip_logits[:1], alone.clip_logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["wav2vec2_mel", "panns"])
def test_training_overfits_one_batch(tiny, name):
    torch.manual_seed(0)
    model = tiny(name, head=PROTOTYPES | {"dropout": 0.0}).train()
    time = torch.arange(2560) / 32_000
    tones = torch.stack([0.3 * torch.sin(2 * torch.pi * hz * time) for hz in (700, 1900, 4300, 9100)])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        logits = model(tones).clip_logits[:, :4]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.eye(4))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-10:]) < 0.28  # one answer for all clips gives 0.56


def test_settings_come_back_from_a_saved_model_and_from_plain_values(tiny, tmp_path):
    model = tiny("panns", head=PROTOTYPES)
    model.save_pretrained(tmp_path)
    loaded = RainforestSedModel.from_pretrained(tmp_path)
    assert loaded.settings == model.settings
    assert loaded.settings.head.classify == PrototypeSettings(per_output=3)
    assert check_settings(ModelSettings, settings_dict(model.settings), "again") == model.settings


def test_the_command_line_chooses_it_and_names_the_keys_of_the_other_kind():
    chosen = load_settings(ModelSettings, "finetune/model", "panns_demo", ["head.classify.kind=prototypes"])
    assert chosen.head.classify == PrototypeSettings(per_output=4)
    with pytest.raises(ConfigError, match=r"per_output: .*belongs to kind=prototypes; this is kind=linear"):
        load_settings(ModelSettings, "finetune/model", "panns_demo", ["head.classify.per_output=2"])
