"""Fine-tune a sound event detection model, or go on with a run that was stopped or killed.

    accelerate launch finetune/train.py model=wav2vec2 model.encoder=DIR data=rfcx data.root=DIR fold=0 output_dir=RUN
    accelerate launch finetune/train.py model=panns_cnn14 data=rfcx data.root=DIR fold=0 output_dir=RUN

Arguments are Hydra overrides of configs/finetune/train.yaml: group=file picks a file of configs/finetune/group/,
key=value sets one setting. --cfg prints the composed settings and trains nothing. docs/finetuning.md explains them.
"""

import sys

import yaml

from rfcx_ssl.config import load_settings, settings_dict
from rfcx_ssl.program import run_program


def main() -> None:
    """Parse, compose, train."""
    arguments = sys.argv[1:]
    if not arguments or "-h" in arguments or "--help" in arguments:
        print(__doc__)
        return
    from rfcx_ssl.training.signals import stop_with_parent
    from rfcx_ssl.training.train import TrainSettings, train  # takes seconds: not for --help

    overrides = [argument for argument in arguments if argument != "--cfg"]
    settings = load_settings(TrainSettings, "finetune", "train", overrides)
    if "--cfg" in arguments:
        print(yaml.safe_dump(settings_dict(settings), sort_keys=False), end="")
        return
    from transformers.utils.logging import disable_progress_bar

    stop_with_parent()
    disable_progress_bar()  # of every saved model
    train(settings)


if __name__ == "__main__":
    run_program(main)
