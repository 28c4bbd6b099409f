"""The progress bar of a training or a minimisation: tqdm, on a terminal or in a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from autograd_lite.engine.checks import tqdm_class, watched

Advance = Callable[[Mapping[str, float | None]], None]
"""To call after each step, with numbers to show by name; None for one that there is not."""


@contextmanager
def progress_bar(total: int, unit: str, progress: bool | None, initial: int = 0) -> Iterator[Advance]:
    """A function to call after each of `total` steps, which moves the bar, if one is wanted."""
    if progress is None:
        progress = watched()
    tqdm = tqdm_class() if progress else None
    if tqdm is None:
        yield lambda numbers: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, where a notebook lacks its widgets: it then writes text
        bar = tqdm(total=total, initial=initial, unit=unit)

    def advance(numbers: Mapping[str, float | None]) -> None:
        bar.set_postfix({name: f"{v:.4g}" for name, v in numbers.items() if v is not None}, refresh=False)
        bar.update()

    try:
        yield advance
    finally:
        bar.close()
