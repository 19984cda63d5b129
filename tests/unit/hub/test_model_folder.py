"""The folder of a trained model: whole, loadable, the same each time, and with a card that says only what is known."""

import argparse
import json
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from transformers import AutoModel

from rfcx_ssl.commands import export
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import read_decisions, write_decisions
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.errors import HubError
from rfcx_ssl.evaluation.record import write_record
from rfcx_ssl.hub.card import Choices, check_card, metadata, write_card
from rfcx_ssl.hub.facts import find_model_facts, objections
from rfcx_ssl.hub.folder import refuse_objections, write_model_folder
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.species import read_species, rfcx_species


@pytest.fixture
def write(tmp_path):
    """``write(source)``: the folder of a model, made by the path that a push takes."""

    def make(source, name="out", **choices):
        (tmp_path / name).mkdir()
        write_model_folder(find_model_facts(str(source)), tmp_path / name, Choices("USER/NAME", **choices))
        return tmp_path / name

    return make


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_all_that_belongs_to_a_model_is_there_and_loads(made_run, write, model_dir, forest):
    run = made_run()
    count = len(rfcx_species().names)
    calibration = ScoreMap(np.full(count, 2.0), np.zeros(count))
    tuned = decide(rfcx_species().names, threshold=0.3, calibration=calibration, about={"command": f"tune {run}"})
    write_decisions(run / "model" / "decisions.json", tuned)
    out = write(run)
    files = contents(out)
    named = {
        "README.md",
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "species.csv",
        "decisions.json",
    }
    assert named | {f"training/{name}" for name in ("config.yaml", "run.json", "metrics.jsonl")} == {
        name for name in files if not name.endswith(".py")
    }
    assert "rainforest_modeling.py" in files
    assert read_species(out / "species.csv").rows() == load_model(str(model_dir)).space.species.rows()
    again = read_decisions(out / "decisions.json")
    np.testing.assert_array_equal(again.threshold, tuned.threshold)
    np.testing.assert_array_equal(again.calibration.slope, calibration.slope)
    assert again.about == {"command": "tune cnn"}
    record = json.loads(files["training/run.json"])
    assert list(record["data"]["sha256"]) == ["train_tp.csv"] and record["sessions"][0].keys() & {"host"} == set()
    assert yaml.safe_load(files["training/config.yaml"])["data"]["root"] == forest.name
    waveform = 0.1 * torch.randn(2, 8000)
    with torch.inference_mode():
        expected = load_model(str(model_dir))(waveform).clip_logits
        torch.testing.assert_close(AutoModel.from_pretrained(out)(waveform).clip_logits, expected, rtol=0, atol=1e-6)


def test_a_run_and_its_model_give_the_same_bytes_and_so_does_export(made_run, write, tmp_path):
    run = made_run()
    first = contents(write(run / "model"))
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    export.run(parser.parse_args([str(run), "--out", str(tmp_path / "NAME")]))
    exported = contents(tmp_path / "NAME")
    card = exported.pop("README.md").replace(b'"NAME"', b'"USER/NAME"').replace(b"--model NAME", b"--model USER/NAME")
    assert card == first.pop("README.md")
    assert exported == first


def test_the_card_says_scores_beside_floors_and_its_metadata_are_those_numbers(made_run, write):
    text = (
        write(made_run(), datasets=["USER/forest"], base_model="USER/base", license="cc-by-4.0") / "README.md"
    ).read_text()
    data = ModelCard(text).data
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "cc-by-4.0",
        "transformers",
        "audio-classification",
    )
    assert (data.datasets, data.base_model) == (["USER/forest"], "USER/base")
    values = {result.metric_type: result.metric_value for result in data.eval_results}
    assert values == {"roc_auc": 0.8125, "lwlrap": 0.731234}  # what was not judged is not there
    assert all(result.dataset_type == "USER/forest" for result in data.eval_results)
    assert re.search(r"LWLRAP of recordings \| 0\.7312 \| 0\.3100 \| 0\.6600", text)
    for said in (
        "8000 Hz",
        "0.05 to 4 kHz",
        "Time: 2 h on cpu",
        "Energy: not measured",
        "not tuned",
        "chosen by box_auc",
    ):
        assert said in text
    assert "Eleutherodactylus coqui" in text and "0" * 40 in text


def test_an_evaluation_in_the_run_folder_is_on_the_card_as_long_as_it_is_of_this_model(made_run, write, caplog):
    run = made_run()
    for name in ("evaluation", "stale"):
        (run / name).mkdir()
        rows = ["model,group_by,group,recordings,lwlrap,lwlrap_low,lwlrap_high,lwlrap_random_floor,lwlrap_prior_floor,"
                "map,map_random_floor,f1,f1_always_floor,box_auc", "other,all,,60,0.1,,,0.2,0.3,0.4,0.1,,,",
                "mine,all,,60,0.6312,0.58,0.679,0.2527,0.7131,0.7034,0.1841,0.25,0.23,", "mine,site,A,9,0.9,,,,,,,,,"]  # fmt: skip
        (run / name / "evaluation.csv").write_text("\n".join(rows) + "\n")
    learned = {"mine": "mine: it has learned from none of these recordings.", "other": "other: nobody knows."}
    models = {"mine": run / "model", "other": run}
    write_record(run / "evaluation", "forest_b", [f"60 recordings of {run}."], models, learned)
    write_record(run / "stale", "forest_c", [], {"mine": run / "plots"}, learned)
    text = (write(run) / "README.md").read_text()
    assert (
        "60 recordings of cnn. This model: it has learned from none of these recordings." in text
        and "nobody knows" not in text
    )
    assert re.search(r"LWLRAP, raw \| 0\.631 \| 0\.580 to 0\.679 \| 0\.253 \| 0\.713", text)
    assert re.search(r"F1, pooled \| 0\.250 \| +\| +\| 0\.230", text) and "forest_c" not in text
    of_test = [one for one in ModelCard(text).data.eval_results if one.dataset_name == "forest_b"]
    assert {one.metric_name: one.metric_value for one in of_test} == {
        "LWLRAP, raw (chance 0.253, prior, always 0.713)": 0.6312,
        "mAP over species (chance 0.184)": 0.7034,
        "F1, pooled (prior, always 0.230)": 0.25,
    }
    assert "stale/evaluation.csv: is not about this model as it is now" in caplog.text
    write_decisions(run / "model" / "decisions.json", decide(rfcx_species().names, threshold=0.3, about={}))
    assert "forest_b" not in (write(run, "tuned") / "README.md").read_text()  # other thresholds, other scores


def test_a_bare_model_has_a_card_that_says_what_is_missing(model_dir, write):
    out = write(model_dir)
    text = (out / "README.md").read_text()
    assert not (out / "training").exists() and ModelCard(text).data.eval_results is None
    assert "No scores are recorded" in text and "Not recorded: the model came without its run folder" in text


def test_runs_that_are_not_ready_are_refused_unless_one_insists(made_run, write):
    run = made_run(finished=False, git="1" * 40 + "-dirty")
    facts = find_model_facts(str(run))
    found = objections(facts)
    assert [reason.split(" (")[0] for reason in found] == [
        "the run is not finished",
        "the code had changes that are in no commit",
    ]
    with pytest.raises(HubError, match=r"not finished; the code had changes .*; --force"):
        refuse_objections(found, str(run), force=False)
    refuse_objections(found, str(run), force=True)
    text = (write(run) / "README.md").read_text()
    assert "-dirty" in text and "step 2, of a run that is not finished" in text and "Time: 1.5 min" in text
    shutil.rmtree(run / "best")
    with pytest.raises(HubError, match="not finished and has no evaluated model yet"):
        find_model_facts(str(run))


def card(**choices):
    return write_card("Frogs", "A model.", [], metadata(Choices("USER/NAME", **choices), pipeline_tag="a", tags=["b"]))


def test_other_runs_and_wrong_metadata_are_refused(made_run):
    run = made_run()
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"kind": "pretraining"}))
    with pytest.raises(HubError, match=r"is a pretraining run; pretrain/convert\.py"):
        find_model_facts(str(run))
    with pytest.raises(HubError, match="license='CC BY': need an identifier"):
        card(license="CC BY")
    with pytest.raises(HubError, match="base_model='base': need USER/NAME"):
        card(base_model="base")
    with pytest.raises(HubError, match="metadata cannot be read"):
        check_card("---\na: [\n---\n")


def test_a_secret_in_the_run_stops_everything(made_run, write):
    run = made_run()
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"note": "hf_" + "a" * 34}) + "\n")
    with pytest.raises(HubError, match=r"training/metrics\.jsonl:2: holds a token of Hugging Face"):
        write(run)
