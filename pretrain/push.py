"""Publish a pretrained encoder on the Hugging Face hub: weights, preprocessor, code where it needs some, proof, health, a card.

    python pretrain/push.py encoders/base32k --repo-id USER/NAME --dry-run shared/base32k   # look at it first
    python pretrain/push.py encoders/base32k --repo-id USER/NAME --private --revision v1.0

ENCODER is what pretrain/convert.py wrote. `hf auth login` sets the token. A push that was interrupted goes on with the same
command. Secrets, absolute paths and user names in paths are refused; encoders of a run that is not finished, has failed, or
whose code was in no commit, need --force. Others then fine-tune with model.encoder=USER/NAME, or USER/NAME@v1.0.
"""

from collections.abc import Sequence
from pathlib import Path

from rfcx_ssl.program import Answer, Parser, add_publishing, run_program


def main(argv: Sequence[str] | None = None) -> Answer:
    """Parse, look for objections, write the folder, push it."""
    parser = Parser(__doc__)
    parser.add_argument("encoder", metavar="ENCODER", type=Path, help="encoder directory")
    add_publishing(parser)
    args = parser.parse_args(argv)
    from rfcx_ssl.hub.card import Choices
    from rfcx_ssl.hub.publish import Target, publish

    target = Target(args.repo_id, args.private, args.revision, args.dry_run)
    from rfcx_ssl.hub.facts import find_encoder_facts, objections  # torch comes late: --help answers at once
    from rfcx_ssl.hub.folder import refuse_objections, write_encoder_folder

    facts = find_encoder_facts(args.encoder)
    refuse_objections(objections(facts), str(args.encoder), force=args.force)
    choices = Choices(args.repo_id, args.license, args.dataset)
    place = publish(target, lambda folder: write_encoder_folder(args.encoder, facts, folder, choices))
    print(place)
    return {"pushed": args.dry_run is None, "place": place, "repo_id": args.repo_id, "revision": args.revision}


if __name__ == "__main__":
    run_program(main)
