"""What is read from a run folder."""

import json

import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.evaluation.runs import Curve, find_model, read_run

RUN = {
    "train_s": 12.5,
    "finished": True,
    "config": {"model": {"kind": "panns"}},
    "data": {"recordings": {"train": 78, "valid": 5}},
}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "run.json").write_text(json.dumps(RUN))
    lines = [
        {"step": 10, "kind": "train", "loss": 2.0, "lwlrap": 9.0},
        {"step": 20, "kind": "train", "loss": 1.0},
        {"step": 20, "kind": "eval", "lwlrap": 0.4},
        {"step": 20, "kind": "final", "lwlrap": 0.4},
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def test_facts_of_a_run(run):
    facts = read_run(run)
    assert (
        facts.model == run / "model"
        and facts.train_s == 12.5
        and facts.labels == 78
        and facts.settings == '{"kind": "panns"}'
    )
    assert facts.curves == [
        Curve("training loss", [10, 20], [2.0, 1.0]),
        Curve("validation LWLRAP (known cells)", [20], [0.4]),
    ]


def test_a_bare_model_has_no_history(run):
    facts = read_run(run / "model")
    assert facts.model == run / "model" and facts.train_s is None and facts.labels is None and facts.curves == []


def test_an_unfinished_run_is_an_error(run):
    (run / "model" / "config.json").unlink()
    with pytest.raises(RunError, match="neither a model directory nor a run folder with a finished model/"):
        read_run(run)


def test_a_name_on_the_hub_may_have_a_revision(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("USER/NAME", "USER/NAME@v1.0", "USER/NAME@refs/pr/1"):
        assert str(find_model(name).model) == name
    with pytest.raises(RunError):
        find_model("nowhere")
