"""A training program: words are Hydra overrides of one file of configs/finetune, and what they compose is trained."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from rfcx_ssl.config import load_settings, settings_dict
from rfcx_ssl.program import Answer, Parser
from rfcx_ssl.training.signals import stop_with_launcher


def train_composed(
    description: str | None, config: str, find: Callable[[], tuple[type[Any], Callable[[Any], Path]]]
) -> Answer:
    """Parse, compose ``configs/finetune/<config>.yaml``, train; what run.json says in the end.

    ``find`` imports, once ``--help`` was not asked for, the settings class and what trains as such settings say.
    """
    parser = Parser(description)
    parser.add_argument("--cfg", action="store_true", help="print the composed settings, train nothing")
    parser.add_argument(
        "overrides", nargs="+", metavar="KEY=VALUE", help=f"what differs from configs/finetune/{config}.yaml"
    )
    args = parser.parse_intermixed_args()
    stop_with_launcher()  # before what takes seconds, in which a launcher may be killed
    settings_class, train = find()
    settings = load_settings(settings_class, "finetune", config, args.overrides)
    if args.cfg:
        composed = settings_dict(settings)
        sys.stdout.write(yaml.safe_dump(composed, sort_keys=False))
        return composed
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of every saved model
    folder = train(settings)
    return {"out": folder, **json.loads((folder / "run.json").read_text(encoding="utf-8"))}
