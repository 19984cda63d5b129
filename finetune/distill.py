"""Distill teachers into a student on recordings without labels, or go on with a run that was stopped or killed.

    python finetune/distill.py model=panns_cnn14 teacher.models=[RUN/model] data.folders=[AUDIO_DIR] max_steps=10000 output_dir=RUN
    python finetune/train.py model=panns_cnn14 optim=scratch start.model=RUN/model data=rfcx data.root=DIR max_steps=3000 output_dir=RUN2

Teachers are runs, saved models, several of them, or ONNX classifiers of other people with a YAML beside them. Arguments are Hydra
overrides of configs/finetune/distill.yaml, as for finetune/train.py; several GPUs: finetune/launch.py. --cfg prints the composed
settings and trains nothing. docs/distillation.md explains them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rfcx_ssl.program import Answer, run_program
from rfcx_ssl.training.composed import train_composed


def distillation() -> tuple[type[Any], Callable[[Any], Path]]:
    """What is composed, and what trains it; importing them takes seconds."""
    from rfcx_ssl.selftraining.distillation.distill import distill
    from rfcx_ssl.selftraining.distillation.settings import DistillSettings

    return DistillSettings, distill


def main() -> Answer:
    """Parse, compose, distill."""
    return train_composed(__doc__, "distill", distillation)


if __name__ == "__main__":
    run_program(main)
