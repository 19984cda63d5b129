"""Progress of a long build: a bar on a terminal, silence elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """Receives how far a stage is; ``total`` 0 where it is not known."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """``done`` of ``total`` (files or hours) of ``stage``."""


def no_progress(stage: str, done: float, total: float) -> None:
    """Show nothing."""


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Rich bars on stderr, one per stage; :func:`no_progress` where stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal:
        yield no_progress
        return
    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        TextColumn("{task.fields[text]}"),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console) as bars:
        tasks = {}

        def show(stage: str, done: float, total: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, text="", total=None)
            text = f"{done:,.1f}" + (f" / {total:,.1f}" if total else "")
            bars.update(tasks[stage], completed=done, total=total or None, text=text)

        yield show
