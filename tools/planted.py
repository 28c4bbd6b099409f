"""Plant the known mistakes of mistakes.py one at a time, and see whether the tests catch each.

    python -m tools.planted                 # all of them
    python -m tools.planted --only optim    # those whose name or file has the word in it
    python -m tools.planted --first         # run only the tests that should notice: a few minutes
    python -m tools.planted --list

The repository is copied to a temporary directory, a mistake is planted in the copy, and the tests run there: those
that should notice first (without those that take seconds), then all the others. A mistake that no test notices
survives; the exit code is then 1.
"""

import argparse
import sys

from tqdm import tqdm

from tools.mistakes import MISTAKES, Mistake
from tools.trial import PACKAGE, Trial, files_of

LONGEST = 900.0
"""Seconds of processor time for one run of the tests; a mistake that makes them hang is caught too."""


def planted(mistake: Mistake) -> str:
    """The text of a file with a mistake in it."""
    text = (PACKAGE / mistake.file).read_text(encoding="utf-8")
    if text.count(mistake.before) != 1:
        raise SystemExit(
            f"{mistake.name}: {mistake.file} has its text {text.count(mistake.before)} times, and it must be once; "
            "update tools/mistakes.py"
        )
    return text.replace(mistake.before, mistake.after)


def caught_by(mistake: Mistake, trial: Trial, all_tests: bool) -> str:
    """The test that notices a mistake; "" if it survives."""
    with trial.changed(mistake.file, planted(mistake)):
        found = trial.run([[test] for test in files_of(mistake.first)], LONGEST)
        if found.what == "passed" and all_tests:
            found = trial.run([["tests"]], LONGEST, quick=False)
    return "" if found.what == "passed" else found.test


def main() -> int:
    """Plant, test, report; exit code 1 if a mistake survives."""
    parser = argparse.ArgumentParser(prog="python -m tools.planted", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", metavar="WORD", help="those whose name or file has the word in it")
    parser.add_argument("--first", action="store_true", help="run only the tests that should notice")
    parser.add_argument("--list", action="store_true", help="say what would be planted, and where")
    options = parser.parse_args()
    chosen = [x for x in MISTAKES if options.only in x.name or options.only in x.file]
    if not chosen:
        parser.error(f"no mistake has {options.only!r} in its name or file")
    if options.list:
        print(*(f"{x.file:36}{x.name}" for x in chosen), sep="\n")
        return 0
    caught, survivors = 0, []
    try:
        with Trial() as trial, tqdm(total=len(chosen), unit="mistake") as bar:
            trial.baseline(sorted({test for x in chosen for test in files_of(x.first)}))
            for mistake in chosen:
                test = caught_by(mistake, trial, not options.first)
                caught += bool(test)
                bar.write(f"{'caught' if test else 'SURVIVED':9} {mistake.file}: {mistake.name}  [{test or 'no test'}]")
                bar.update()
                if not test:
                    survivors.append(mistake.name)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    finally:
        print(f"{caught} of {caught + len(survivors)} mistakes caught", *survivors, sep="\n  survived: ")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
