"""Accelerate's launcher, ending as the training ended: its exit code, and no traceback of the launcher's own."""

import logging
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence

from accelerate.commands.launch import launch_command, launch_command_parser
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from rfcx_ssl.errors import RunError, first_line

# They tell, below our line, that a process failed or a signal came.
ELASTIC_LOGGERS = (
    "torch.distributed.elastic.agent.server.api",
    "torch.distributed.elastic.multiprocessing.api",
)


def launch_processes(words: Sequence[str]) -> int:
    """Do what ``accelerate launch WORDS`` does; returns the exit code of the process that failed first, or 0.

    ``accelerate launch`` itself turns every code into 1 and prints its own stack below what the training said.
    A process that a signal ended counts as 128 + signal, as in a shell.

    Raises:
        RunError: Accelerate cannot start what ``words`` say.
    """
    args = launch_command_parser().parse_args(list(words))
    # Otherwise Accelerate gives one CPU process a thread per core, however busy they are.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for name in ELASTIC_LOGGERS:
        logging.getLogger(name).disabled = True
    # Ctrl-C in a terminal reaches the training too, which saves; we wait for it. (torchrun has its own handler.)
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        launch_command(args)
    except subprocess.CalledProcessError as error:
        return _shell_code(error.returncode)
    except ChildFailedError as error:
        return _shell_code(error.get_first_failure()[1].exitcode)
    except SignalException as error:
        return 128 + error.sigval
    except (OSError, ValueError) as error:  # a wrong word, a missing launcher file
        raise RunError(f"accelerate launch {shlex.join(words)}: {first_line(error)}") from None
    finally:
        signal.signal(signal.SIGINT, before)
    return 0


def _shell_code(code: int) -> int:
    return code if code >= 0 else 128 - code
