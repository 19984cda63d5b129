"""Start finetune/train.py in several processes, one per GPU: `accelerate launch` whose errors can be read.

    python finetune/launch.py --config_file configs/accelerate/ddp.yaml finetune/train.py model=... output_dir=RUN

Takes the words of `accelerate launch` (listed by `accelerate launch --help`) and ends with the exit code of the process
that failed first, below the line that it said. One process needs no launcher: python finetune/train.py.
"""

import sys

from rfcx_ssl.program import run_program


def main() -> None:
    """Launch, wait, hand the exit code on."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print(__doc__)
        return
    from rfcx_ssl.training.processes import launch_processes  # takes seconds: not for --help

    sys.exit(launch_processes(words))


if __name__ == "__main__":
    run_program(main)
