"""The progress bar of a training: tqdm, on a terminal or in a notebook."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from autograd_lite.engine.checks import watched
from autograd_lite.training.run import Run


@contextmanager
def progress_bar(epochs: int, run: Run, progress: bool | None) -> Iterator[Callable[[], None]]:
    """A function to call after each epoch: it shows loss, metrics and learning rate, if a bar is wanted."""
    if progress is None:
        progress = watched()
    if not progress:
        yield lambda: None
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm's, where a notebook lacks its widgets: it then writes text
        from tqdm.auto import tqdm

        bar = tqdm(total=epochs, initial=run.epoch, unit="epoch")

    def advance() -> None:
        row = run.history.rows[-1]
        shown_numbers = {"loss": row["loss"], "validation": row.get("validation_loss"), **row.get("metrics", {})}
        shown_numbers["lr"] = row["learning_rate"]
        bar.set_postfix({name: f"{v:.4g}" for name, v in shown_numbers.items() if v is not None}, refresh=False)
        bar.update()

    try:
        yield advance
    finally:
        bar.close()
