"""The shipped launcher files are what Accelerate and bash accept."""

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from accelerate.commands.config.config_args import load_config_from_file

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.mark.parametrize("path", sorted((CONFIGS / "accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_accelerate_reads_every_file(path):
    config = load_config_from_file(str(path))  # unknown keys raise
    assert config.num_processes >= 1
    assert config.mixed_precision in ("no", "bf16")
    assert not config.use_cpu  # one process needs no launcher file


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_slurm_file_passes_every_argument_on(tmp_path):
    """Run the batch file with stand-ins for srun, scontrol and python."""
    (tmp_path / "scontrol").write_text(
        '#!/bin/bash\n[ "$1" = show ] && echo nodeA && echo nodeB || echo "$@" >> $LOG\n'
    )
    (tmp_path / "srun").write_text('#!/bin/bash\nshift\nSLURM_NODEID=1 "$@"\n')
    (tmp_path / "python").write_text('#!/bin/bash\nprintf "%s\\n" "$@" > $LOG\nexit 143\n')
    for name in ("scontrol", "srun", "python"):
        (tmp_path / name).chmod(0o755)
    run = tmp_path / "run dir"
    run.mkdir()
    (run / "progress.json").write_text('{\n "stopped": true\n}')
    log = tmp_path / "log"
    slurm = {
        "SLURM_JOB_NODELIST": "node[A-B]",
        "SLURM_JOB_ID": "31234",
        "SLURM_NNODES": "2",
        "SLURM_GPUS_ON_NODE": "4",
    }
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "LOG": str(log), **slurm}
    script = CONFIGS / "slurm" / "finetune.sbatch"
    done = subprocess.run(
        ["bash", script, "max_steps=5", f"output_dir={run}"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 143, done.stderr
    lines = log.read_text().splitlines()
    assert lines[-1] == "requeue 31234"
    arguments = lines[:-1]
    pairs = dict(pairwise(arguments))
    assert (pairs["--num_processes"], pairs["--machine_rank"], pairs["--main_process_ip"]) == ("8", "1", "nodeA")
    assert arguments[-3:] == ["finetune/train.py", "max_steps=5", f"output_dir={run}"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(("code", "expected"), [(0, 0), (3, 0), (2, 2)])
def test_slurm_array_passes_every_argument_on_and_takes_unreadable_files_for_no_failure(tmp_path, code, expected):
    log = tmp_path / "log"
    (tmp_path / "srun").write_text('#!/bin/bash\nshift\n"$@"\n')
    (tmp_path / "rfcx-ssl").write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > {log}\nexit {code}\n')
    for name in ("srun", "rfcx-ssl"):
        (tmp_path / name).chmod(0o755)
    script = CONFIGS / "slurm" / "detect.sbatch"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_CPUS_PER_TASK": "4"}
    done = subprocess.run(["bash", script, "a b", "--out", "found"], env=environment, capture_output=True, text=True)
    assert done.returncode == expected, done.stderr
    assert log.read_text().splitlines() == ["detect", "a b", "--out", "found", "--readers", "3"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize("path", sorted((CONFIGS / "slurm").glob("*.sbatch")), ids=lambda path: path.stem)
def test_bash_reads_every_batch_file(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True, text=True).stderr == ""
