"""Fine-tune a sound event detection model, or go on with a run that was stopped or killed.

    python finetune/train.py model=wav2vec2 model.encoder=DIR data=rfcx data.root=DIR fold=0 max_steps=10000 output_dir=RUN
    python finetune/train.py model=panns_cnn14 optim=scratch data=rfcx data.root=DIR fold=0 max_steps=10000 output_dir=RUN

One process, on the GPU where there is one (with precision=bf16); several GPUs: finetune/launch.py. Arguments are Hydra
overrides of configs/finetune/train.yaml: group=file picks a file of configs/finetune/group/, key=value sets one
setting. --cfg prints the composed settings and trains nothing. docs/finetuning.md explains them.
"""

import json

import yaml

from rfcx_ssl.config import load_settings, settings_dict
from rfcx_ssl.program import Answer, Parser, run_program


def main() -> Answer:
    """Parse, compose, train."""
    parser = Parser(__doc__)
    parser.add_argument("--cfg", action="store_true", help="print the composed settings, train nothing")
    parser.add_argument(
        "overrides", nargs="+", metavar="KEY=VALUE", help="what differs from configs/finetune/train.yaml"
    )
    args = parser.parse_intermixed_args()
    from rfcx_ssl.training.signals import stop_with_parent
    from rfcx_ssl.training.train import TrainSettings, train  # takes seconds: not for --help

    settings = load_settings(TrainSettings, "finetune", "train", args.overrides)
    if args.cfg:
        print(yaml.safe_dump(settings_dict(settings), sort_keys=False), end="")
        return settings_dict(settings)
    from transformers.utils.logging import disable_progress_bar

    stop_with_parent()
    disable_progress_bar()  # of every saved model
    folder = train(settings)
    return {"out": folder, **json.loads((folder / "run.json").read_text(encoding="utf-8"))}


if __name__ == "__main__":
    run_program(main)
