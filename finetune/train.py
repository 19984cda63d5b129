"""Fine-tune a sound event detection model, or go on with a run that was stopped or killed.

    python finetune/train.py model=wav2vec2 model.encoder=DIR data=rfcx data.root=DIR fold=0 max_steps=10000 output_dir=RUN
    python finetune/train.py model=panns_cnn14 optim=scratch data=rfcx data.root=DIR fold=0 max_steps=10000 output_dir=RUN

One process, on the GPU where there is one (with precision=bf16); several GPUs: finetune/launch.py. Arguments are Hydra
overrides of configs/finetune/train.yaml: group=file picks a file of configs/finetune/group/, key=value sets one
setting. --cfg prints the composed settings and trains nothing. docs/finetuning.md explains them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rfcx_ssl.program import Answer, run_program
from rfcx_ssl.training.composed import train_composed


def training() -> tuple[type[Any], Callable[[Any], Path]]:
    """What is composed, and what trains it; importing them takes seconds."""
    from rfcx_ssl.training.train import TrainSettings, train

    return TrainSettings, train


def main() -> Answer:
    """Parse, compose, train."""
    return train_composed(__doc__, "train", training)


if __name__ == "__main__":
    run_program(main)
