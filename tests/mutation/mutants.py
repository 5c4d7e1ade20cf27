"""What mutmut plants here, and how one mutant is tried.

`mutmut run` tries the mutants whose tests are fast first. Here, each run takes them in a random
order: whenever it ends, the mutants that it tried are a fair sample.
"""

import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

from mutmut import __main__ as mutmut
from mutmut.configuration import config
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths
from mutmut.utils.format_utils import mangled_name_from_mutant_name
from mutmut.workers.isolation import MutantRunner, get_mutant_runner

from tests.mutation import operators
from tests.mutation.nearest import nearest

FOLDER = Path("mutants")  # mutmut knows no other
PARTS = "tests/unit tests/entrypoints tests/contract"
FIRST = 2.0  # seconds of tests that come first


class Mutants:
    """The mutants of a checkout, with the verdicts of earlier runs."""

    def __init__(self, workers: int, say: Callable[[str], None]) -> None:
        """Plant the mutants, and find out which test calls which function."""
        self._workers = workers
        operators.choose()
        FOLDER.mkdir(exist_ok=True)
        shutil.rmtree(FOLDER / "tests", ignore_errors=True)  # a deleted test would be run again
        for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
            del sys.modules[name]  # a mutant's tests are those of the folder
        _remove_unfinished()
        say("Planting mutants in functions/ and shared/; only changed files take time …")
        set_mutant_under_test("mutant_generation")
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
            copy_src_dir()
            copy_also_copy_files()
            setup_source_paths()
            mutmut.create_mutants(workers)
        say("Running new tests once, to see which functions each calls; ten minutes for all of them …")
        self._runner: MutantRunner = get_mutant_runner(workers)
        try:
            mutmut.collect_or_load_stats(self._runner, apply_config_invalidation=True)
        except SystemExit:
            say(f"A test fails; which one: cd {FOLDER}; MUTANT_UNDER_TEST=stats ../.venv/bin/python -m pytest {PARTS}")
            raise
        set_mutant_under_test("")
        found, _ = mutmut.collect_source_file_mutation_data(mutant_names=[])
        self._files: dict[str, SourceFileMutationData] = {name: file for file, name, _ in found}

    def names(self, pattern: str = "") -> list[str]:
        """Return the names of the mutants of the modules whose name begins like this."""
        return sorted(name for name in self._files if name.startswith(pattern))

    def verdict(self, name: str) -> str:
        """Return killed, timeout, survived, no tests … or not checked."""
        return str(status_by_exit_code[self._files[name].exit_code_by_key[name]])

    def module(self, name: str) -> str:
        """Return the path of a mutant's module."""
        return str(self._files[name].path)

    def try_all(self, names: Iterable[str], until: float, depth: float) -> Iterator[str]:
        """Try these mutants, and yield each that has a verdict.

        No mutant starts after `until` (monotonic), and each gets tests of `depth` seconds at most.
        Most mutants die at once: the farther tests are collected only for those that do not.
        """
        waiting, begun = iter(names), set[str]()
        self._runner.startup()
        try:
            while True:
                while self._runner.has_capacity() and time.monotonic() < until and (name := next(waiting, "")):
                    begun.add(name)
                    self._submit(name, nearest(self._tests(name), min(FIRST, depth)))
                if not self._runner.pending_count():
                    return
                result = self._runner.wait_for_result()
                name = result.mutant_name
                tests = nearest(self._tests(name), depth)
                tried = nearest(self._tests(name), min(FIRST, depth)) if name in begun else tests
                begun.discard(name)
                if result.exit_code == 0 and len(tests) > len(tried):
                    self._submit(name, tests[len(tried) :])
                    continue
                file = self._files[name]
                file.exit_code_by_key[name] = result.exit_code
                file.save()
                yield name
        except KeyboardInterrupt:
            self._runner.stop_all_workers()
            raise
        finally:
            self._runner.shutdown()

    def _tests(self, name: str) -> set[str]:
        return set(state().tests_by_mangled_function_name.get(mangled_name_from_mutant_name(name), ()))

    def _submit(self, name: str, tests: list[str]) -> None:
        seconds = sum(state().duration_by_test[test] for test in tests)
        limit = (seconds + config().timeout_constant) * config().timeout_multiplier
        self._runner.submit(name, tests, int(limit) + 1, seconds)


def shuffled(names: Iterable[str], seed: int) -> list[str]:
    """Return the names in the order that belongs to a seed."""
    names = sorted(names)
    random.Random(seed).shuffle(names)  # noqa: S311 - a sample, not a secret
    return names


def _remove_unfinished() -> None:
    """Remove a file that a run was writing when it was stopped: mutmut would take it for a whole one."""
    for source in config().source_paths:
        for path in (FOLDER / source).rglob("*.py"):
            written_last = path.with_name(f"{path.name}.spans")
            if not written_last.exists() or written_last.stat().st_mtime < path.stat().st_mtime:
                path.unlink()
