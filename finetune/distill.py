"""Distill teachers into a student on recordings without labels, or go on with a run that was stopped or killed.

    python finetune/distill.py model=panns_cnn14 teacher.models=[RUN/model] data.folders=[AUDIO_DIR] max_steps=10000 output_dir=RUN
    python finetune/train.py model=panns_cnn14 optim=scratch start.model=RUN/model data=rfcx data.root=DIR max_steps=3000 output_dir=RUN2

Teachers are runs, saved models, several of them, or ONNX classifiers of other people with a YAML beside them. Arguments are Hydra
overrides of configs/finetune/distill.yaml, as for finetune/train.py; several GPUs: finetune/launch.py. --cfg prints the composed
settings and trains nothing. docs/distillation.md explains them.
"""

import yaml

from rfcx_ssl.config import load_settings, settings_dict
from rfcx_ssl.program import Parser, run_program


def main() -> None:
    """Parse, compose, distill."""
    parser = Parser(__doc__)
    parser.add_argument("--cfg", action="store_true", help="print the composed settings, train nothing")
    parser.add_argument(
        "overrides", nargs="+", metavar="KEY=VALUE", help="what differs from configs/finetune/distill.yaml"
    )
    args = parser.parse_intermixed_args()
    from rfcx_ssl.selftraining.distillation.distill import distill  # takes seconds: not for --help
    from rfcx_ssl.selftraining.distillation.settings import DistillSettings
    from rfcx_ssl.training.signals import stop_with_parent

    settings = load_settings(DistillSettings, "finetune", "distill", args.overrides)
    if args.cfg:
        print(yaml.safe_dump(settings_dict(settings), sort_keys=False), end="")
        return
    from transformers.utils.logging import disable_progress_bar

    stop_with_parent()
    disable_progress_bar()  # of every saved model
    distill(settings)


if __name__ == "__main__":
    run_program(main)
