"""What every program does around its ``main``: how its words are read, how its threads wait, what it says, how it ends.

Nothing of this happens by importing rfcx_ssl: a notebook keeps its own logging, threads and signals.
"""

import argparse
import errno
import json
import logging
import math
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

from rfcx_ssl.errors import ConfigError, RfcxError, first_line
from rfcx_ssl.finite import parse_number
from rfcx_ssl.threads import wait_passively

DEBUG_FLOODS = ("matplotlib", "PIL")  # hundreds of DEBUG lines for one picture
FIRST_RANK_S = 10.0
#: What a disk, a limit or a right says: the machine's state, which no traceback explains.
MACHINE = frozenset(
    getattr(errno, name)
    for name in (
        "EACCES EDQUOT EEXIST EFBIG EIO EISDIR EMFILE ENAMETOOLONG ENFILE ENOENT ENOMEM ENOSPC ENOTDIR EPERM EROFS ESTALE"
    ).split()
    if hasattr(errno, name)
)
#: Of these, what says of a path that it is there or is not: a bug where none is named, or one of the package.
OF_PATHS = frozenset((errno.ENOENT, errno.EEXIST))
PACKAGE = Path(__file__).parent
JSON_FLAG = "--json"

Plain = str | bool | int | float | None | list["Plain"] | dict[str, "Plain"]
Answer = Mapping[str, Any]  # what a program made, for programs: paths, counts, scores


class Parser(argparse.ArgumentParser):
    """Shows the module's docstring as it is written; a wrong word is one line and exit code 2, as any other mistake."""

    def __init__(self, description: str | None, prog: str | None = None) -> None:
        super().__init__(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self.add_argument(
            JSON_FLAG, action="store_true", help="print one JSON object to stdout, and all that people read to stderr"
        )

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


def add_device(parser: argparse.ArgumentParser) -> None:
    """Declare ``--device``; :func:`rfcx_ssl.inference.load.pick_device` knows what it means."""
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda or cuda:N")


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
    add_device(parser)
    parser.add_argument("--workers", type=positive, default=1, metavar="N", help="processes that hear (default 1)")
    parser.add_argument(
        "--readers",
        type=int,
        default=1,
        metavar="N",
        help="processes that decode ahead, for each that hears (default 1; 0: none)",
    )
    add_threads(parser)


def add_publishing(parser: argparse.ArgumentParser) -> None:
    """Declare what programs share that publish on the hub."""
    parser.add_argument(
        "--repo-id", required=True, metavar="USER/NAME", help="its name on the hub; made where it is new"
    )
    parser.add_argument("--private", action="store_true", help="only you, or your organization, can see it")
    parser.add_argument("--revision", metavar="TAG", help="tag this version, e.g. v1.0; a tag never moves")
    parser.add_argument("--dry-run", type=Path, metavar="DIR", help="write the folder here and push nothing")
    parser.add_argument("--force", action="store_true", help="also a run that is unfinished, or of uncommitted code")
    parser.add_argument("--license", default="apache-2.0", metavar="ID", help="of the weights (default apache-2.0)")
    parser.add_argument(
        "--dataset",
        action="append",
        default=[],
        metavar="USER/NAME",
        help="data on the hub that it learned from; repeat for several",
    )


def run_program(main: Callable[[], Answer | None], argv: Sequence[str] | None = None) -> None:
    """Run a program's ``main``. Call it before torch is imported: how threads wait is read when torch loads.

    An :class:`RfcxError` becomes one line on stderr and its exit code (2), Ctrl-C one line and 130. A reader that has
    gone (``| head``) ends the program without a word. A full disk, a missing right or file, a limit and no memory are
    one line and exit code 2, too. With ``--json`` among the words (``argv``, or the command line's) stdout gets one JSON
    object and nothing else: what ``main`` returns, or ``error`` and ``exit_code`` (beside what was made all the same).
    """
    wait_passively()
    stdout = sys.stdout if JSON_FLAG in (sys.argv[1:] if argv is None else argv) and _rank() == 0 else None
    try:
        with console_logging(), ExitStack() as stack:
            if stdout is not None:
                stack.enter_context(redirect_stdout(sys.stderr))
            answer = main()
        if stdout is not None:
            _print_json(answer or {}, stdout)
        sys.stdout.flush()
    except RfcxError as error:
        _end(str(error), error.exit_code, stdout, error.answer)
    except KeyboardInterrupt:
        _end("stopped by Ctrl-C", 128 + signal.SIGINT, stdout)
    except (BrokenPipeError, SystemExit) as error:  # the first is also an OSError
        if _is_unread(error):
            _end_unread()
        raise
    except Exception as error:
        if (reason := _machine_says(error)) is None:
            raise
        _end(reason, RfcxError.exit_code, stdout)


def _is_unread(error: BaseException) -> bool:
    """Whether the reader of stdout or stderr has gone; a broken pipe between processes is another matter."""
    if isinstance(error, SystemExit):
        return isinstance(error.__context__, BrokenPipeError)  # rich makes an exit code of 1 of it
    look = select.poll()
    for stream in (1, 2):
        look.register(stream, 0)
    return any(event & select.POLLERR for _, event in look.poll(0))


def _end_unread() -> NoReturn:
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)  # Python flushes once more when it ends
    sys.exit(128 + signal.SIGPIPE)


def _machine_says(error: Exception) -> str | None:
    """What a disk, a limit or a right says, with the file where it is known; None where the error is of another kind."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in MACHINE:
        # a number is the descriptor of a file without a name
        name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
        if error.errno in OF_PATHS and (name is None or Path(name).is_relative_to(PACKAGE)):
            return None
        return error.strerror if name is None else f"{name}: {error.strerror}"
    found = re.search(r"\(os error (\d+)\)", str(error))  # of libraries in Rust, safetensors among them
    return first_line(error) if found and int(found[1]) in MACHINE else None


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


def _end(message: str, code: int, stdout: TextIO | None, answer: Answer | None = None) -> NoReturn:
    """Say why, to programs also on ``stdout``, and exit. Of several processes with one mistake or one signal the first says it."""
    if _rank() > 0:
        if code > 128:  # by a signal, which all of them got
            sys.exit(code)
        time.sleep(FIRST_RANK_S)  # the launcher ends this process when the first one has failed
    line = _one_line(message)
    print(f"error: {line}", file=sys.stderr)
    if stdout is not None:
        _print_json({**(answer or {}), "error": line, "exit_code": code}, stdout)
    sys.exit(code)


def _print_json(answer: Answer, stdout: TextIO) -> None:
    print(json.dumps(_plain(answer), allow_nan=False), file=stdout, flush=True)


def _plain(value: object) -> Plain:
    """Paths are text, arrays and tuples lists, what is not finite null, fields of dataclasses keys; the rest is text: JSON knows no other."""
    if isinstance(value, str | bool | int | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # numpy and torch
        return _plain(value.tolist())
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def positive(text: str) -> int:
    """A whole number above 0, for argparse."""
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above 0")
    return int(text)


def finite(text: str) -> float:
    """A finite number, for argparse."""
    try:
        return parse_number("", text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("=")) from None


def _rank() -> int:
    """Number of this process among those that torchrun or ``accelerate launch`` started."""
    return int(os.environ.get("RANK", "0"))


def _one_line(text: str) -> str:
    return " ".join(line.strip() for line in text.splitlines())
