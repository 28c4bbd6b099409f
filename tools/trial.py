"""A trial: a copy of the repository in which one thing is changed, and tests that run there in a forked process.

The part that planted.py and mutants.py share. The tests are run by a fork of a process that has imported pytest and
the other packages already, so that a run costs little more than its tests. (Forks are POSIX only: this does not run on
Windows.)
"""

import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "autograd_lite"
TEST_FILES = {path.stem: str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))}
"""The path of each file of tests by its name: `test_values` is tests/engine/test_values.py."""
LEFT_BEHIND = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "*.egg-info", "autograd_lite_tour")
NOT_OURS = ("pytest", "_pytest.assertion.rewrite", "numpy.testing", "mpmath", "hypothesis", "scipy.optimize",
            "scipy.special", "scipy.sparse", "graphviz", "tqdm.auto", "json", "doctest")  # fmt: skip
MEMORY = 6 << 30

SLOW = (
    "million or moons_eager or graphviz_is_spared or fold_false_in_our_own or in_parallel or kill_in_the_middle or "
    "long_chain or random_programs or many_roots or digits or random_order or runs_as_a_program or central_differences "
    "or orders_one_to_four or interrupted_anywhere"
)
"""Tests that take seconds and check what others check too, or are about size: left out of a quick run."""


def files_of(names: str) -> list[str]:
    """The paths of files of tests, named without `test_` and `.py`."""
    return [TEST_FILES[f"test_{name}"] for name in names.split()]


class Outcome(NamedTuple):
    """How a run ended.

    Args:
        what: "passed", "failed", "hangs" or "crashes".
        seconds: of processor time.
        test: the first one that failed, or what else there is to say.
    """

    what: str
    seconds: float
    test: str


class Trial:
    """A copy of the repository, for `with Trial() as trial`: removed at the end."""

    def __enter__(self) -> "Trial":
        self._directory = tempfile.TemporaryDirectory(prefix="trial-")
        self.copy = Path(self._directory.name) / "repository"
        shutil.copytree(ROOT, self.copy, ignore=LEFT_BEHIND)
        self._path, self._bytecode = sys.path[:], sys.dont_write_bytecode
        os.chdir(self.copy)
        os.environ["PYTHONPATH"] = str(self.copy)
        sys.path[:] = [str(self.copy), *(p for p in sys.path if p not in ("", str(ROOT)))]
        for name in NOT_OURS:
            try:
                import_module(name)
            except ImportError:
                continue  # an optional package: its tests skip
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(ROOT)
        sys.path[:], sys.dont_write_bytecode = self._path, self._bytecode
        self._directory.cleanup()

    @contextmanager
    def changed(self, file: str, text: str) -> Iterator[None]:
        """Another text in a file of the package."""
        path = self.copy / "autograd_lite" / file
        kept, times = path.read_bytes(), path.stat()
        path.write_text(text, encoding="utf-8")
        try:
            yield
        finally:
            path.write_bytes(kept)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that its compiled form is valid again

    def baseline(self, tests: list[str]) -> float:
        """Run tests on the package as it is, which must pass; the seconds that takes. Compiles everything."""
        found = self.run([tests], 3000.0)
        if found.what != "passed":
            raise SystemExit(f"with nothing changed: {found.test} {found.what}")
        # From here on no .pyc files: they are compared with their source by its time in seconds, too coarse for trials.
        sys.dont_write_bytecode = True
        return found.seconds

    def run(self, stages: list[list[str]], cpu: float, quick: bool = True) -> Outcome:
        """Run tests until one fails, a stage after the other.

        Args:
            stages: lists of files and tests; a stage that fails saves the imports of the later ones.
            cpu: seconds of processor time after which a run counts as hanging.
            quick: whether to leave out SLOW.
        """
        out = self.copy / "output.txt"
        child = os.fork()
        if not child:
            _run_and_exit(stages, cpu, quick, out)
        with suppress(OSError):  # it may have done so itself by now
            os.setpgid(child, child)
        try:
            status, seconds = _waited(child, 20.0 * cpu + 60.0)
        except KeyboardInterrupt:
            os.killpg(child, signal.SIGKILL)
            raise
        if os.WIFSIGNALED(status):
            by_time = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
            if by_time:
                return Outcome("hangs", seconds, f"no end within {cpu:.0f} s")
            return Outcome("crashes", seconds, f"killed by signal {os.WTERMSIG(status)}")
        text = out.read_text(encoding="utf-8", errors="replace")
        found = re.search(r"^(?:FAILED|ERROR) (.*?)(?: - .*)?$", text, re.MULTILINE)
        test = found[1] if found else (text.strip().splitlines() or ["no test ran"])[-1]
        code = os.WEXITSTATUS(status)
        return Outcome("passed" if code == 0 else "failed" if code in (1, 2) else "crashes", seconds, test)


def _run_and_exit(stages: list[list[str]], cpu: float, quick: bool, out: Path) -> None:
    """What the fork does."""
    code = 3
    try:
        handle = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        with suppress(OSError):  # the parent may have done so by now
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests send it; a background job would ignore it
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 3))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        import pytest

        options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        options += ["-k", f"not ({SLOW})"] if quick else ["-m", "not long"]
        for stage in stages:
            code = int(pytest.main([*options, *stage]))
            if code:
                break
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _waited(child: int, longest: float) -> tuple[int, float]:
    """(status, seconds of processor time) of a fork when it has ended."""
    until = time.monotonic() + longest
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return status, usage.ru_utime + usage.ru_stime
        if time.monotonic() > until:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)
