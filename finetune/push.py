"""Publish a trained model on the Hugging Face hub: weights, code, species, decisions, scores, settings, and a card that says it all.

    python finetune/push.py runs/w2v-f0 --repo-id USER/NAME --dry-run shared/frogs   # look at it first
    python finetune/push.py runs/w2v-f0 --repo-id USER/NAME --private --revision v1.0

RUN_OR_MODEL is a run folder (its scores and settings are published, too) or a model folder. `hf auth login` sets the token. A
push that was interrupted goes on with the same command, and what has arrived is not sent again. Secrets, absolute paths and
user names in paths are refused wherever they stand; runs that are not finished, or whose code was in no commit, need --force.
"""

from collections.abc import Sequence

from rfcx_ssl.program import Answer, Parser, add_publishing, add_threads, run_program
from rfcx_ssl.threads import use_threads


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, look for objections, write the folder, push it."""
    parser = Parser(__doc__)
    parser.add_argument("model", metavar="RUN_OR_MODEL", help="run folder, RUN/model, or any other model folder")
    add_publishing(parser)
    parser.add_argument(
        "--onnx", action="store_true", help="also model.onnx, compared with the model (rfcx-ssl[onnx])"
    )
    parser.add_argument("--base-model", metavar="USER/NAME", help="the encoder's name on the hub, for the card")
    add_threads(parser)
    args = parser.parse_args(argv)
    from rfcx_ssl.hub.card import Choices
    from rfcx_ssl.hub.publish import Target, publish

    target = Target(args.repo_id, args.private, args.revision, args.dry_run)
    from rfcx_ssl.hub.facts import find_model_facts, objections  # torch comes late: --help answers at once
    from rfcx_ssl.hub.folder import refuse_objections, write_model_folder

    use_threads(args.threads)
    facts = find_model_facts(args.model)
    refuse_objections(objections(facts), args.model, force=args.force)
    choices = Choices(args.repo_id, args.license, args.dataset, args.base_model)
    place = publish(target, lambda folder: write_model_folder(facts, folder, choices, onnx=args.onnx))
    print(place)
    return {"pushed": args.dry_run is None, "place": place, "repo_id": args.repo_id, "revision": args.revision}


if __name__ == "__main__":
    run_program(main)
