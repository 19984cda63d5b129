"""What every program does around its ``main``: how its words are read, how its threads wait, what it says, how it ends.

Nothing of this happens by importing rfcx_ssl: a notebook keeps its own logging, threads and signals.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rfcx_ssl.errors import ConfigError, RfcxError
from rfcx_ssl.threads import wait_passively

DEBUG_FLOODS = ("matplotlib", "PIL")  # hundreds of DEBUG lines for one picture
FIRST_RANK_S = 10.0


class Parser(argparse.ArgumentParser):
    """Shows the module's docstring as it is written; a wrong word is one line and exit code 2, as any other mistake."""

    def __init__(self, description: str | None, prog: str | None = None) -> None:
        super().__init__(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print below a usage of many lines."""
        raise ConfigError(f"{self.prog}: {message} (--help says more)")


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare ``--threads``, for programs whose settings have no ``threads``."""
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="of torch (default: OMP_NUM_THREADS, or half of the cores that are free, four at most)",
    )


def add_prevalence(parser: argparse.ArgumentParser) -> None:
    """Declare ``--prevalence``, which :func:`rfcx_ssl.species.prevalence.known_prevalence` reads."""
    parser.add_argument(
        "--prevalence",
        default="table",
        metavar="SOURCE",
        help="share of recordings that hold each species, for prior scaling: table (the species table, the default), a CSV "
        "with the columns name and prevalence, estimate (by each model, from its scores of these recordings), or none",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Declare ``--workers``; :func:`rfcx_ssl.threads.choose_workers` knows the default."""
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (default: one per core that is free)")


def add_hearing(parser: argparse.ArgumentParser) -> None:
    """Declare ``--device``, ``--workers``, ``--readers`` and ``--threads`` of programs that hear recordings into a journal."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes that hear (default 1)")
    parser.add_argument(
        "--readers",
        type=int,
        default=1,
        metavar="N",
        help="processes that decode ahead, for each that hears (default 1; 0: none)",
    )
    add_threads(parser)


def run_program(main: Callable[[], None]) -> None:
    """Run a program's ``main``. Call it before torch is imported: how threads wait is read when torch loads.

    An :class:`RfcxError` becomes one line on stderr and its exit code (2), Ctrl-C one line and 130. A reader that has
    gone (``| head``) ends the program without a word.
    """
    wait_passively()
    try:
        with console_logging():
            main()
        sys.stdout.flush()
    except RfcxError as error:
        _end(str(error), error.exit_code)
    except KeyboardInterrupt:
        _end("stopped by Ctrl-C", 128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends
        sys.exit(128 + signal.SIGPIPE)


@contextmanager
def console_logging() -> Iterator[None]:
    """Show our own messages on stderr, one line each, and of other libraries their warnings.

    The root logger decides neither: libraries call ``logging.basicConfig`` when they are imported, with DEBUG or with
    formats of their own.
    """
    root, ours = logging.getLogger(), logging.getLogger("rfcx_ssl")
    floods = [logging.getLogger(name) for name in DEBUG_FLOODS]
    loggers = [(logger, logger.level, logger.propagate, list(logger.handlers)) for logger in (root, ours, *floods)]
    handlers = [(handler, handler.level) for handler in root.handlers]
    ours.addHandler(_Line("{level}: {message}"))
    ours.propagate = False
    ours.setLevel(logging.INFO if _rank() == 0 else logging.ERROR)
    for logger in (root, *floods):
        logger.setLevel(logging.WARNING)
    for handler in root.handlers:  # of a basicConfig before us
        handler.setLevel(max(handler.level, logging.WARNING))
    if not root.handlers:  # a basicConfig after us then changes nothing
        root.addHandler(_Line("{level}: {name}: {message}", logging.WARNING))
    try:
        yield
    finally:
        for handler, level in handlers:
            handler.setLevel(level)
        for logger, level, propagate, own in loggers:
            logger.setLevel(level)
            logger.propagate, logger.handlers = propagate, own


class _Line(logging.Handler):
    """Prints each record on one line, on what stderr is at that moment: progress bars stand in for it."""

    def __init__(self, form: str, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.form = form

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if record.exc_info:
            message += f" ({record.exc_info[1]!r})"
        if record.levelno != logging.INFO:
            message = self.form.format(level=record.levelname.lower(), name=record.name, message=message)
        print(_one_line(message), file=sys.stderr)


def _end(message: str, code: int) -> NoReturn:
    """Say why, and exit. Of several processes with one mistake or one signal the first says it."""
    if _rank() > 0:
        if code > 128:  # by a signal, which all of them got
            sys.exit(code)
        time.sleep(FIRST_RANK_S)  # the launcher ends this process when the first one has failed
    print(f"error: {_one_line(message)}", file=sys.stderr)
    sys.exit(code)


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above 0")
    return int(text)


def _rank() -> int:
    """Number of this process among those that torchrun or ``accelerate launch`` started."""
    return int(os.environ.get("RANK", "0"))


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())
