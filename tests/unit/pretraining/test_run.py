"""The watcher with a stand-in engine that writes the log of a known run; the real one runs in tests/pipeline."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.pretraining import run as run_module
from rfcx_ssl.pretraining.run import PretrainRequest, engine_command, engine_threads, run_pretraining

ENGINE = """
import json, pathlib, signal, sys, time
log, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
def stop(*_):
    (log.parent / "checkpoint_last.pt").touch()
    print("saved on request", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
loss, perplexity = (0.4, 2.0) if mode == "collapse" else (3.0, 12.0)
with log.open("a") as file:
    for n in range(1, 9):
        line = {"loss": str(loss), "num_updates": str(n), "code_perplexity": str(perplexity), "ups": "2", "gnorm": "1"}
        file.write(json.dumps(line) + "\\n")
print("threads", __import__("os").environ["OMP_NUM_THREADS"], flush=True)
if mode == "crash":
    print("ValueError: the reason", file=sys.stderr)
    sys.exit(1)
if mode in ("collapse", "wait"):
    time.sleep(60)
"""
CONFIG = {
    "common": {"log_file": None, "user_dir": None},
    "optimization": {"max_update": 10},
    "model": {"num_negatives": 50, "latent_vars": 64, "latent_groups": 2},
    "lr_scheduler": {"warmup_updates": 0},
    "checkpoint": {"save_dir": None},
    "task": {"data": "."},
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    def start(mode, auto_stop=False, show=lambda _: None):
        save_dir = tmp_path / "run"
        log = save_dir / "train.jsonl"
        config = CONFIG | {"common": {"log_file": str(log)}, "checkpoint": {"save_dir": str(save_dir)}}
        monkeypatch.setattr(run_module, "compose_pretraining", lambda *_: config)
        monkeypatch.setattr(run_module, "check_pretraining", lambda _: None)
        monkeypatch.setattr(run_module, "engine_command", lambda *_: [sys.executable, "-c", ENGINE, str(log), mode])
        request = PretrainRequest(
            config_dir=tmp_path, config_name="x", overrides=(), user_dir=tmp_path, auto_stop=auto_stop
        )
        return run_pretraining(request, show)

    return start


def test_a_finished_run_leaves_metrics_picture_and_verdict(run):
    seen = []
    save_dir = run("finish", show=seen.append)
    assert (seen[-1].num_updates, seen[-1].max_update, seen[-1].eta_s) == (8, 10, 1.0)
    assert len((save_dir / "metrics.csv").read_text().splitlines()) == 9
    assert json.loads((save_dir / "health.json").read_text())["state"] == "learning"
    assert (save_dir / "curves.png").stat().st_size > 1000
    threads = json.loads((save_dir / "run.json").read_text())["cpu_threads"]
    assert f"threads {threads}\n" in (save_dir / "console.log").read_text()
    run("finish")
    assert len((save_dir / "metrics.csv").read_text().splitlines()) == 9


def test_a_crash_names_its_reason(run, tmp_path):
    with pytest.raises(RunError, match="ValueError: the reason"):
        run("crash")
    assert (tmp_path / "run" / "metrics.csv").is_file()


def test_collapse_stops_the_run_when_asked(run, tmp_path):
    with pytest.raises(RunError, match="codes collapsed"):
        run("collapse", auto_stop=True)
    assert (tmp_path / "run" / "checkpoint_last.pt").is_file()


def test_a_signal_is_passed_on_and_the_run_ends_well(run):
    def interrupt(progress):
        if progress.num_updates == 8:
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    before = signal.getsignal(signal.SIGTERM)
    save_dir = run("wait", show=interrupt)
    assert "saved on request" in (save_dir / "console.log").read_text()
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_engine_is_the_stock_command_with_our_plugin_unless_another_is_given(tmp_path):
    pytest.importorskip("fairseq")
    request = PretrainRequest(
        config_dir=tmp_path, config_name="base", overrides=("task.data=x",), user_dir=Path("plugin")
    )
    command = engine_command(request, {"common": {"user_dir": None}})
    assert Path(command[0]).name == "fairseq-hydra-train"
    assert command[1:6] == ["--config-dir", str(tmp_path), "--config-name", "base", "task.data=x"]
    assert command[6] == f"common.user_dir={Path('plugin').resolve()}"
    assert len(engine_command(request, {"common": {"user_dir": "mine"}})) == 6


def test_threads_of_the_engine(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("rfcx_ssl.threads.usable_cores", lambda *_: 16)
    monkeypatch.setattr("rfcx_ssl.threads.free_cores", lambda *_: 16)
    run_file = tmp_path / "run.json"
    gpu, cpu = {"common": {"cpu": False}}, {"common": {"cpu": True}}
    four = cpu | {"distributed_training": {"distributed_world_size": 4}}
    assert [engine_threads(None, config, run_file) for config in (gpu, cpu, four)] == [1, 4, 2]
    assert [engine_threads(3, config, run_file) for config in (gpu, cpu, four)] == [3, 3, 3]
    run_file.write_text(json.dumps({"cpu_threads": 2}))
    assert engine_threads(None, cpu, run_file) == 2  # a resumed run goes on bit for bit
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert [engine_threads(None, config, run_file) for config in (gpu, cpu, four)] == [5, 5, 5]
