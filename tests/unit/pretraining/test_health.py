import math

import pytest

from rfcx_ssl.pretraining.health import HealthBands, health_bands, judge
from rfcx_ssl.pretraining.log import LogRecord

BANDS = HealthBands(chance_bits=math.log2(51), num_groups=2, num_codes=128, patience_updates=300)


def run_of(loss, perplexity, last=600, gnorm=0.5, lines=8):
    values = {"loss_0": loss, "code_perplexity": perplexity, "gnorm": gnorm, "accuracy": 0.1}
    return [LogRecord("train", last - 10 * n, dict(values)) for n in reversed(range(lines))]


@pytest.mark.parametrize(
    ("loss", "perplexity", "last", "state", "message"),
    [
        (5.67, 50.0, 150, "starting", "normal until about update 300"),
        (4.8, 20.0, 500, "learning", "loss 4.80 bits"),
        (3.4, 14.0, 600, "learning", "perplexity 14"),
        (5.67, 120.0, 500, "warning", "evenly at random"),
        (5.65, 30.0, 500, "warning", "raise optimization.lr"),
        (0.39, 2.0, 150, "failed", "codes collapsed"),
        (4.5, 6.5, 500, "warning", "few codes"),
        (8.0, 50.0, 500, "warning", "above chance"),
        (math.nan, 50.0, 500, "failed", "loss is nan"),
        (math.inf, 50.0, 500, "failed", "loss is inf"),
    ],
)
def test_verdicts(loss, perplexity, last, state, message):
    verdict = judge(run_of(loss, perplexity, last), BANDS)
    assert verdict.state == state
    assert message in verdict.message


def test_one_bad_line_is_no_alarm():
    records = [*run_of(4.5, 20.0), LogRecord("train", 610, {"loss_0": 5.67, "code_perplexity": 2.0, "gnorm": 0.1})]
    assert judge(records, BANDS).state == "learning"


def test_validation_lines_and_an_empty_log_say_nothing():
    assert judge([], BANDS).state == "starting"
    assert judge([LogRecord("valid", 600, {"loss_0": 0.1, "code_perplexity": 2.0})], BANDS).state == "starting"


def test_bands_come_from_the_settings():
    config = {
        "model": {"num_negatives": 50, "cross_sample_negatives": 13, "latent_vars": 64, "latent_groups": 2},
        "lr_scheduler": {"warmup_updates": 200},
    }
    assert health_bands(config) == HealthBands(6.0, 2, 128, 600)
    config["lr_scheduler"]["warmup_updates"] = 32000
    assert health_bands(config).patience_updates == 20_000
