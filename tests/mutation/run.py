"""Mutation testing: change one thing in a function, run the tests of its file, and see whether one of them notices.

Usage: python tests/mutation/run.py [--mutants 300] [--minutes 20] [--only TEXT] [--list]

The mutants are those of mutmut, written into a copy of the package (``build/mutation``); torch and the tests are loaded once,
and every mutant is a fork of that process which runs the tests of its own file, ``tests/unit/ROOM/test_FILE.py``, until one fails. Which
mutants are drawn depends on their names alone. Prints survivors as differences, then a table.
"""

import argparse
import hashlib
import os
import resource
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPY = ROOT / "build" / "mutation"
ROOMS = ("metrics", "losses")
FILES = (
    "labels/clips",
    "labels/frame_wise",
    "labels/intervals",
    "labels/judged",
    "frames",
    "folds",
    "training/sampler",
)
CPU_LIMIT_S = 60  # of one mutant: an endless loop is noticed
NOTICED, ALIVE = 1, 0


def mutated_modules() -> list[str]:
    """Files whose functions are changed, below the package, without suffix."""
    rooms = [f"{room}/{path.stem}" for room in ROOMS for path in sorted((ROOT / "rfcx_ssl" / room).glob("*.py"))]
    return [*FILES, *(name for name in rooms if test_file(name).exists())]


def test_file(module: str) -> Path:
    """The unit tests of a file."""
    return ROOT / "tests" / "unit" / Path(module).parent / f"test_{Path(module).name}.py"


def write_mutants() -> dict[str, str]:
    """The package with all mutants inside, in ``COPY``; the name of each mutant and its module."""
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(ROOT / "rfcx_ssl", COPY / "rfcx_ssl", ignore=shutil.ignore_patterns("__pycache__"))
    (COPY / "configs").symlink_to(ROOT / "configs")
    (COPY / "setup.cfg").write_text("[mutmut]\nsource_paths = rfcx_ssl\n", encoding="utf-8")
    os.chdir(COPY)  # mutmut looks for its settings there
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    module_of = {}
    for module in mutated_modules():
        path = Path("rfcx_ssl") / f"{module}.py"
        found = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        path.write_text(found.code, encoding="utf-8")
        module_of.update({get_mutant_name(path, name): module for name in found.mutant_names})
    return module_of


def drawn(names: list[str], count: int) -> list[str]:
    """``count`` of the names, always the same ones, in an order without meaning."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:count]


class Mutate:
    """A plugin for pytest: after the tests are loaded, it runs them once per mutant instead of once."""

    def __init__(self, module_of: dict[str, str], chosen: list[str], end_s: float) -> None:
        self.module_of, self.chosen, self.end_s = module_of, chosen, end_s
        self.tally: Counter[tuple[str, str]] = Counter()
        self.failed: str | None = None

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Every mutant; None of them first."""
        modules = sorted({self.module_of[name] for name in self.chosen})
        for module in modules:
            if self.run("", self.tests_of(session, module)) == NOTICED:
                self.failed = f"{test_file(module)} fails without any mutant"
                return True
        for number, name in enumerate(self.chosen, 1):
            if time.monotonic() > self.end_s:
                print(f"time is over after {number - 1} of {len(self.chosen)} mutants", flush=True)
                break
            module = self.module_of[name]
            alive = self.run(name, self.tests_of(session, module)) == ALIVE
            self.tally[module, "survived" if alive else "killed"] += 1
            if number % 25 == 0:
                print(f"{number} of {len(self.chosen)} mutants", flush=True)
            if alive:
                print(f"survived: {name}\n{difference(name, module)}", flush=True)
        return True

    @staticmethod
    def tests_of(session: pytest.Session, module: str) -> list[pytest.Item]:
        """The tests of a module's own file."""
        return [item for item in session.items if item.path == test_file(module)]

    @staticmethod
    def run(name: str, tests: list[pytest.Item]) -> int:
        """Run tests with a mutant in a process of their own; ``NOTICED`` if one of them, or the process, fails."""
        sys.stdout.flush()
        child = os.fork()
        if child:
            return NOTICED if os.waitpid(child, 0)[1] else ALIVE
        from mutmut.mutation.trampoline import set_mutant_under_test

        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        set_mutant_under_test(name)
        session = tests[0].session
        for number, test in enumerate(tests):
            test.config.hook.pytest_runtest_protocol(
                item=test, nextitem=tests[number + 1] if tests[number + 1 :] else None
            )
            if session.testsfailed:
                os._exit(1)
        os._exit(0)


def difference(name: str, module: str) -> str:
    """The lines that a mutant changes."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    path = COPY / "rfcx_ssl" / f"{module}.py"
    lines = get_diff_for_mutant(name, source=path.read_text(encoding="utf-8"), path=path).splitlines()
    return "\n".join(line for line in lines[2:] if line[:1] in "+-")


def main() -> int:
    """Survivors and a table; 1 if tests fail without mutants."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose names contain it")
    parser.add_argument("--list", action="store_true", help="print the names that would be drawn, and stop")
    args = parser.parse_args()
    end_s = time.monotonic() + 60 * args.minutes
    module_of = write_mutants()
    chosen = drawn([name for name in module_of if args.only in name], args.mutants)
    print(f"{len(module_of)} mutants, {len(chosen)} of them drawn", flush=True)
    if args.list:
        print("\n".join(chosen))
        return 0
    os.environ["MUTANT_UNDER_TEST"] = ""
    sys.path.insert(0, str(COPY))
    plugin = Mutate(module_of, chosen, end_s)
    files = sorted({str(test_file(module_of[name])) for name in chosen})
    status = pytest.main(["-q", "-s", "-p", "no:cacheprovider", "-W", "ignore", *files], plugins=[plugin])
    if plugin.failed or status not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        print(plugin.failed or "tests cannot be loaded")
        return 1
    print("| module | mutants | killed | survived |\n|---|---|---|---|")
    for module in sorted({module for module, _ in plugin.tally}):
        killed, survived = plugin.tally[module, "killed"], plugin.tally[module, "survived"]
        print(f"| {module} | {killed + survived} | {killed} | {survived} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
