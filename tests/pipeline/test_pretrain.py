"""Pretraining through its real commands: fairseq-hydra-train, pretrain/run.py, pretrain/convert.py."""

import json
import os
import pickle
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from transformers import AutoFeatureExtractor, AutoModel, Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

from rfcx_ssl.audio import write_flac
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelModel
from rfcx_ssl.pretraining.log import read_log

pytestmark = pytest.mark.slow
pytest.importorskip("fairseq")
ROOT = Path(__file__).parents[2]
ENGINE = [str(Path(sys.executable).with_name("fairseq-hydra-train")), "--config-dir", str(ROOT / "configs/pretrain")]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}
RATE = 32000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve clips of 1.5 to 3 s with a chirp in noise, as a prepared manifest."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    lines = []
    for n in range(12):
        samples = RATE * 3 // (1 + n % 2)
        time_s = np.arange(samples) / RATE
        chirp = np.sin(2 * np.pi * (500 * (1 + n % 4) * time_s + 400 * time_s**2)) * (time_s % 0.5 < 0.2)
        write_flac(folder / f"{n}.flac", (0.05 * rng.standard_normal(samples) + 0.3 * chirp).astype(np.float32), RATE)
        lines.append(f"{n}.flac\t{samples}\n")
    for split, chosen in (("train", lines), ("valid", lines[:8])):
        (folder / f"{split}.tsv").write_text(f"{folder}\n" + "".join(chosen))
    return folder


def command(*arguments):
    done = subprocess.run([*map(str, arguments)], cwd=ROOT, env=ENV, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done


def in_process(name, *arguments, code=0):
    """Run a program of pretrain/ as the interpreter would, in this process: fairseq takes long to import."""
    found = 0
    with mock.patch.object(sys, "argv", [name, *map(str, arguments)]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fairseq's
        try:
            runpy.run_path(str(ROOT / "pretrain" / name), run_name="__main__")
        except SystemExit as stopped:
            found = stopped.code or 0
    assert found == code


def tiny(data, save_dir, *overrides, name="wav2vec2_tiny_32k"):
    return ["--config-name", name, f"task.data={data}", f"checkpoint.save_dir={save_dir}", *overrides]


def weights(save_dir):
    return torch.load(save_dir / "checkpoint_last.pt", weights_only=True)["model"]


def test_stock_command_then_conversion_then_transformers(data, tmp_path, capsys):
    command(*ENGINE, *tiny(data, tmp_path / "run", "optimization.max_update=3"))
    out = tmp_path / "encoder"
    checkpoint = tmp_path / "run" / "checkpoint_last.pt"
    in_process("convert.py", checkpoint, "--out", out, "--audio", data / "0.flac")
    assert "parity: last hidden state" in capsys.readouterr().out
    report = json.loads((out / "parity.json").read_text())
    assert report["passed"]
    assert report["max_abs_difference_last_hidden_state"] < 1e-4
    assert (report["num_updates"], report["sample_rate_hz"]) == (3, RATE)
    model, preprocess = AutoModel.from_pretrained(out), AutoFeatureExtractor.from_pretrained(out)
    assert preprocess.sampling_rate == model.config.rfcx_ssl["sample_rate_hz"] == RATE
    assert model(torch.randn(1, RATE)).last_hidden_state.shape == (1, 49, 32)


def test_log_mel_by_the_stock_command_and_its_way_back(data, tmp_path, capsys):
    """Stock command with activation checkpointing, goes on by our program, conversion, export, goes on again."""
    plugin = f"common.user_dir={ROOT / 'pretrain/fairseq_plugin'}"
    run, encoder = tmp_path / "run", tmp_path / "encoder"
    mel = {"name": "wav2vec2_mel_tiny_32k"}
    first = ["optimization.max_update=3", "lr_scheduler.total_num_update=6", "model.input_mix={p: 0.5}"]
    command(*ENGINE, *tiny(data, run, plugin, *first, "model.checkpoint_activations=true", **mel))
    second = ["optimization.max_update=6", "model.checkpoint_activations=true"]
    command(sys.executable, "pretrain/run.py", *tiny(data, run, *second, **mel))
    in_process("convert.py", run / "checkpoint_last.pt", "--out", encoder, "--heads")
    assert "features of a frame depend on the audio within 0.44 s" in capsys.readouterr().out
    report = json.loads((encoder / "parity.json").read_text())
    assert (report["passed"], report["num_updates"]) == (True, 6)
    model = AutoModel.from_pretrained(encoder)
    assert type(model) is Wav2Vec2MelModel
    assert model(torch.randn(1, RATE)).last_hidden_state.shape == (1, 25, 32)
    assert AutoFeatureExtractor.from_pretrained(encoder).do_normalize is False
    in_process("export_fairseq.py", encoder, "--out", tmp_path / "start")
    trained, exported = weights(run), torch.load(tmp_path / "start" / "checkpoint.pt", weights_only=True)["model"]
    assert all(torch.equal(exported[name], trained[name]) for name in trained)
    command(
        sys.executable, "pretrain/run.py", "--config-dir", tmp_path / "start", "--config-name", "continue",
        f"task.data={data}", f"checkpoint.save_dir={tmp_path / 'again'}", "dataset.num_workers=0",
        "dataset.max_tokens=200000", "lr_scheduler.warmup_updates=1", "common.cpu=true", "common.bf16=false",
        "optimization.max_update=1", "optimization.update_freq=[1]", "optimization.lr=[0.0]",
    )  # fmt: skip
    assert all(torch.equal(tensor, trained[name]) for name, tensor in weights(tmp_path / "again").items())


class Attack:
    def __reduce__(self):
        return os.system, ("true",)


def test_a_hostile_checkpoint_ends_with_2_and_one_line(tmp_path, capsys):
    torch.save({"model": {}, "cfg": Attack()}, tmp_path / "hostile.pt", pickle_module=pickle)
    in_process("convert.py", tmp_path / "hostile.pt", "--out", tmp_path / "encoder", code=2)
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert "posix.system" in line
    assert not (tmp_path / "encoder").exists()


def test_a_wrong_setting_ends_with_2_before_fairseq_starts(data, tmp_path, capsys):
    in_process("run.py", *tiny(data, tmp_path / "run", "model.encoder_layer=3"), code=2)
    assert "did you mean 'model.encoder_layers'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("normalize_s", ["null", "0.2"])
def test_without_normalization_the_codes_collapse_and_auto_stop_says_so(data, tmp_path, normalize_s):
    """No diversity loss, many convolutions: the log-mel extractor keeps its codes by its normalization alone."""
    settings = [
        "task._name=rainforest_audio_pretraining", "criterion.loss_weights=[0.0,0.0]", "optimization.lr=[0.003]",
        "optimization.max_update=40", "common.log_interval=2", f"model.mel_extractor.normalize_s={normalize_s}",
        "model.mel_extractor.channels=[8,8,8,8,8,8]", "model.mel_extractor.time_strides=[2,2,1,1,1,1]",
        "model.mel_extractor.band_strides=[4,2,1,1,1,1]",
    ]  # fmt: skip
    run = tiny(data, tmp_path / "run", *settings, name="wav2vec2_mel_tiny_32k")
    done = subprocess.run(
        [sys.executable, "pretrain/run.py", "--auto-stop", *run],
        cwd=ROOT,
        env=ENV,
        capture_output=True,
        text=True,
        check=False,
    )
    health = json.loads((tmp_path / "run" / "health.json").read_text())
    if normalize_s == "null":
        assert done.returncode == 2
        assert re.search(
            r"^error: .*run: stopped: codes collapsed: perplexity 2\.\d, one code per group is 2", done.stderr, re.M
        )
        assert health["state"] == "failed"
    else:
        assert (done.returncode, health["state"]) == (0, "learning"), health


def test_stopping_and_resuming_equals_never_stopping(data, tmp_path):
    """A stop by signal in the middle of an epoch, resumed by the same command, on crops that are read by seeking."""
    task = ["task._name=rainforest_audio_pretraining", "optimization.max_update=40"]
    plugin = f"common.user_dir={ROOT / 'pretrain/fairseq_plugin'}"
    command(*ENGINE, *tiny(data, tmp_path / "whole", plugin, *task))
    stopped = subprocess.Popen(
        [sys.executable, str(ROOT / "pretrain/run.py"), *tiny(data, tmp_path / "parts", *task)],
        cwd=ROOT,
        env=ENV,
        stdout=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "parts" / "train.jsonl"
    while stopped.poll() is None and not (log.is_file() and '"num_updates"' in log.read_text()):
        time.sleep(0.02)
    stopped.send_signal(signal.SIGTERM)
    stopped.communicate(timeout=120)
    assert stopped.returncode == 0
    state = torch.load(tmp_path / "parts" / "checkpoint_last.pt", weights_only=True)
    assert 0 < state["optimizer_history"][-1]["num_updates"] < 40
    command(*ENGINE, *tiny(data, tmp_path / "parts", plugin, *task))
    whole, parts = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert (tmp_path / "parts" / "curves.png").is_file()


@pytest.mark.parametrize("name", ["wav2vec2_tiny_32k", "wav2vec2_mel_tiny_32k"])
def test_two_cpu_processes_train_one_model(data, tmp_path, name):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = [
        "optimization.max_update=4",
        f"common.user_dir={ROOT / 'pretrain/fairseq_plugin'}",
        "task._name=rainforest_audio_pretraining",
        "distributed_training.distributed_world_size=2",
        "distributed_training.distributed_no_spawn=true",
        f"distributed_training.distributed_init_method=tcp://127.0.0.1:{port}",
    ]
    logs = [(tmp_path / f"rank{rank}.log").open("w") for rank in (0, 1)]
    ranks = []
    for rank, log in enumerate(logs):
        ours = f"distributed_training.distributed_rank={rank}"
        arguments = tiny(data, tmp_path / "run", *shared, ours, name=name)
        ranks.append(subprocess.Popen([*ENGINE, *arguments], cwd=ROOT, env=ENV, stdout=log, stderr=log))
        log.close()
    assert [rank.wait(timeout=300) for rank in ranks] == [0, 0], (tmp_path / "rank0.log").read_text()[-2000:]
    records, _ = read_log(tmp_path / "run" / "train.jsonl")
    sentences = {record.values["nsentences"] for record in records if record.split == "train"}
    assert max(sentences) == 8.0  # 4 clips on each of two processes
    assert (tmp_path / "run" / "checkpoint_last.pt").is_file()


def test_a_public_encoder_goes_on_in_fairseq_at_another_rate(data, tmp_path, capsys):
    """What a user does with a 16 kHz encoder: export it, go on with stock fairseq, convert the result back."""
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=[16, 16, 16],
        conv_kernel=[10, 8, 8],
        conv_stride=[5, 8, 8],
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
    )
    Wav2Vec2Model(config).save_pretrained(tmp_path / "public")
    Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(tmp_path / "public")
    in_process("export_fairseq.py", tmp_path / "public", "--out", tmp_path / "start", "--sample-rate", RATE)
    said = capsys.readouterr().out
    assert "16000 -> 32000 Hz: first convolution: 20 samples, stride 10" in said
    assert "new, with random weights: final_proj, project_q, quantizer" in said
    overrides = ["common.cpu=true", "common.bf16=false", "optimization.max_update=2", "optimization.update_freq=[1]"]
    command(
        sys.executable, "pretrain/run.py", "--config-dir", tmp_path / "start", "--config-name", "continue",
        f"task.data={data}", f"checkpoint.save_dir={tmp_path / 'run'}", "dataset.num_workers=0",
        "dataset.max_tokens=200000", "lr_scheduler.warmup_updates=1", "optimization.lr=[0.0]", *overrides,
    )  # fmt: skip
    begun = torch.load(tmp_path / "start" / "checkpoint.pt", weights_only=True)["model"]
    for name, tensor in weights(tmp_path / "run").items():  # a rate of 0 trains nothing: it did start from there
        assert torch.equal(tensor, begun[name]), name
    in_process("convert.py", tmp_path / "run" / "checkpoint_last.pt", "--out", tmp_path / "back")
    assert AutoModel.from_pretrained(tmp_path / "back").config.conv_stride == [10, 8, 8]
