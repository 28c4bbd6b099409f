"""Run the Python blocks of pages, each by itself, and compare what they print with the comments behind it.

    python -m tools.run_blocks README.md docs/FIRST_STEPS.md

It needs nothing but the installed package, so it says what a wheel without extras can do.
"""

import argparse
import contextlib
import io
import re
import sys
import traceback
from pathlib import Path


def blocks(text: str) -> list[str]:
    """The Python of a page."""
    return re.findall(r"(?ms)^```python\n(.*?)^```", text)


def promised(block: str) -> list[str]:
    """What its prints say behind a `#` that they print."""
    found = (re.search(r"print\(.*\)\s*# (.*)$", line) for line in block.splitlines())
    return [match[1].strip() for match in found if match]


def main(pages: list[str]) -> int:
    failed = count = 0
    for page in pages:
        for number, block in enumerate(blocks(Path(page).read_text(encoding="utf-8"))):
            out, count = io.StringIO(), count + 1
            try:
                with contextlib.redirect_stdout(out):
                    exec(compile(block, f"{page}, block {number}", "exec"), {"__name__": "__main__"})
            except Exception:
                traceback.print_exc()
                failed += 1
                continue
            if out.getvalue().splitlines() != promised(block):
                print(f"{page}, block {number} printed\n{out.getvalue()}and says\n{promised(block)}", file=sys.stderr)
                failed += 1
    print(f"{count} blocks, {failed} failed")
    return 1 if failed or not count else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tools.run_blocks", description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="+", help="Markdown pages")
    raise SystemExit(main(parser.parse_args().pages))
