"""Progress of long work: one look for all of it, on a terminal; silence elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text


class Progress(Protocol):
    """Receives how far a stage is; ``total`` 0 where it is not known."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """``done`` of ``total`` (files or hours) of ``stage``."""


def no_progress(stage: str, done: float, total: float) -> None:
    """Show nothing."""


def say(console: Console, text: str, style: str | None = None) -> None:
    """Print ``text`` as it is: brackets are no markup, numbers are not coloured, long lines are not broken."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def open_bars(console: Console, *, transient: bool = False) -> Bars:
    """Bars with what is done, time spent, time left and a note (a field ``note`` of the task); off where there is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _Count(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        _Note(),
    )
    return Bars(*columns, console=console, disable=not console.is_terminal, transient=transient)


@contextmanager
def counting(console: Console, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """One bar over ``total`` things; call what is yielded with how many more are done."""
    with open_bars(console) as bars:
        task = bars.add_task(what, total=total)
        yield lambda count: bars.advance(task, count)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Bars on stderr, one per stage; :func:`no_progress` where stderr is not a terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield no_progress
        return
    with open_bars(console) as bars:
        tasks = {}

        def show(stage: str, done: float, total: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield show


class _Count(ProgressColumn):
    """``1,200/4,727`` of things, ``3.5/112.0`` of hours."""

    def render(self, task: Task) -> Text:
        form = ",.0f" if float(task.completed).is_integer() and float(task.total or 0).is_integer() else ",.1f"
        done = f"{task.completed:{form}}"
        return Text(done if task.total is None else f"{done}/{task.total:{form}}", style="progress.download")


class _Note(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(str(task.fields.get("note", "")))
