"""How every benchmark here measures: in turn, in one process, medians, warm-up apart; and where figures are kept."""

from __future__ import annotations

import datetime
import gc
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HEAD = "# Results\n\nFigures of the benchmarks in this folder; each section names the program that wrote it.\n"
RESULTS = Path(__file__).with_name("RESULTS.md")


def side_by_side(runs: dict[str, Callable[[], Any]], rounds: int = 9, collector: bool = True) -> dict[str, float]:
    """The median time of each run in seconds: in turn, A B A B, after one round that does not count.

    Before each run garbage is collected; during it the collector is on or off as asked.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for count in range(rounds + 1):
        for name, run in runs.items():
            gc.collect()
            if not collector:
                gc.disable()
            start = time.perf_counter()
            result = run()
            elapsed = time.perf_counter() - start
            gc.enable()
            del result
            if count:
                times[name].append(elapsed)
    return {name: statistics.median(found) for name, found in times.items()}


def machine() -> str:
    """The processor, the system and Python, in one line."""
    model = platform.processor() or platform.machine()
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        found = re.search(r"model name\s*: (.*)", text)
        model = found.group(1).strip() if found else model
    except OSError:
        model = platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def publish(section: str, body: str) -> None:
    """Print a section and put it into RESULTS.md, in place of an older one of its name."""
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    block = f"## {section}\n\n{machine()}; {datetime.date.today()}.\n\n{body.strip()}\n"
    print(block)
    pattern = re.compile(rf"^## {re.escape(section)}\n.*?(?=^## |\Z)", re.S | re.M)
    text = pattern.sub(lambda _: block + "\n", text) if pattern.search(text) else f"{text.rstrip()}\n\n{block}"
    RESULTS.write_text(text.rstrip() + "\n", encoding="utf-8")
