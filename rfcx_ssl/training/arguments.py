"""Command lines that mix lists with settings; imports nothing heavy, so that ``--help`` answers at once."""

from collections.abc import Sequence


def gather_lists(arguments: Sequence[str], options: Sequence[str]) -> list[str]:
    """``--seeds 0 1 2 key=value`` as ``--seeds 0,1,2 key=value``: argparse would take the settings for seeds as well.

    Words belong to an option of ``options`` up to the next option or setting (``key=value``, ``+key=value``, ``~key``).
    """
    gathered: list[str] = []
    is_open = False
    for word in arguments:
        is_setting = "=" in word or word.startswith(("+", "~"))
        if word.startswith("-") or is_setting:
            is_open = False
        if is_open and gathered[-1] in options:
            gathered.append(word)
        elif is_open:
            gathered[-1] += f",{word}"
        else:
            gathered.append(word)
            is_open = word in options
    return gathered


def numbers(text: str) -> list[int]:
    """Whole numbers separated by commas, as :func:`gather_lists` leaves them."""
    return [int(word) for word in text.split(",")]


def words(text: str) -> list[str]:
    """Words separated by commas."""
    return text.split(",")
