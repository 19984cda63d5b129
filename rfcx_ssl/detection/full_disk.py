"""A disk that is full, told in one line."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rfcx_ssl.errors import RunError


@contextmanager
def may_be_full(place: Path, then: str = "what was heard is kept, and the same command goes on") -> Iterator[None]:
    """A disk that is full or not there is the user's to mend; ``then`` says what becomes of what was heard.

    Raises:
        RunError: for an OSError, but not when it is the reader of our output that has gone.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        raise RunError(f"{error.filename or place}: {what}; {then}") from None
