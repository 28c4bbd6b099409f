"""History: the record of a training, epoch by epoch, as plain numbers."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from math import isfinite, log10
from typing import Any, ClassVar

__all__ = ["History"]

INTERRUPTED = "interrupted"
SEPARATED = "every example is classified"


class History:
    """The record of a training: one dict an epoch in `rows`, and the same as lists by name.

    A row has the keys `loss` (the mean over the examples, each with the parameters of its step), `largest_loss`
    (of one example), `learning_rate`, `gradient_norms` (by layer, the mean over the steps), and, if asked for,
    `validation_loss` and `metrics`.

    Attributes:
        rows: the dicts.
        seed: of the order of the examples; `fit` with this seed repeats the training.
        stopped: why the training ended.
        backend: what computed the gradients: "eager", or the program's backend, "native" or "numpy".
        threads: how many that could use.

    Example:
        >>> model = ag.MLP(1, [1], seed=0)
        >>> history = ag.fit(model, [[0.0], [1.0]], [1.0, 3.0], epochs=3, batch_size=None, seed=0)
        >>> len(history), history.stopped, history.loss[2] < history.loss[0]
        (3, 'the last epoch', True)
        >>> list(history.gradient_norms)
        ['layers[0]']
    """

    def __init__(self, seed: int | None = None) -> None:
        self.rows: list[dict[str, Any]] = []
        self.seed = seed
        self.stopped = ""
        self.backend = "eager"
        self.threads = 1

    @property
    def loss(self) -> list[float]:
        """The training loss of each epoch."""
        return [row["loss"] for row in self.rows]

    @property
    def validation_loss(self) -> list[float]:
        """The loss on the validation data after each epoch; empty if there are none."""
        return [row["validation_loss"] for row in self.rows if "validation_loss" in row]

    @property
    def metrics(self) -> dict[str, list[float]]:
        """The metrics of each epoch by name; those on the validation data begin with validation_."""
        return self._by_name("metrics")

    @property
    def learning_rate(self) -> list[float]:
        """The learning rate at the beginning of each epoch."""
        return [row["learning_rate"] for row in self.rows]

    @property
    def gradient_norms(self) -> dict[str, list[float]]:
        """The Euclidean norm of the gradient by layer, the mean over the steps of each epoch.

        Norms that fall from the last layer to the first are vanishing gradients, norms that grow exploding ones.
        """
        return self._by_name("gradient_norms")

    def _by_name(self, key: str) -> dict[str, list[float]]:
        names = dict.fromkeys(name for row in self.rows for name in row.get(key, {}))
        return {name: [row[key].get(name, float("nan")) for row in self.rows] for name in names}

    @property
    def watched(self) -> list[float]:
        """The loss that early stopping looks at: of validation, or of training without validation."""
        return self.validation_loss or self.loss

    @property
    def best_epoch(self) -> int:
        """The number of the epoch, from 1, whose watched loss was lowest; 0 before any."""
        losses = self.watched
        return min(range(len(losses)), key=lambda i: (losses[i] != losses[i], losses[i])) + 1 if losses else 0

    @property
    def converged(self) -> bool:
        """Whether a perceptron's training ended because every example is classified correctly."""
        return self.stopped == SEPARATED

    def columns(self) -> dict[str, list[float]]:
        """Everything as lists by name, nested names joined by a dot; `epoch` counts from 1."""
        found: dict[str, list[float]] = {"epoch": list(range(1, len(self.rows) + 1))}
        for key in dict.fromkeys(key for row in self.rows for key in row):
            if isinstance(self.rows[0].get(key), Mapping):
                found.update({f"{key}.{name}": column for name, column in self._by_name(key).items()})
            else:
                found[key] = [row.get(key, float("nan")) for row in self.rows]
        return found

    def to_frame(self) -> Any:
        """The columns as a pandas DataFrame, by epoch.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("History.to_frame needs pandas: pip install pandas") from None
        return pandas.DataFrame(self.columns()).set_index("epoch")

    def plot(self, axes: Any = None, log: bool = False) -> Any:
        """The losses over the epochs, as a Matplotlib picture.

        Args:
            axes: where to draw; new ones unless given.
            log: a logarithmic scale.

        Returns:
            The axes.

        Raises:
            ImportError: Matplotlib is not installed.
            ValueError: no epoch was completed.
        """
        from autograd_lite.plot import losses

        axes = losses(self, ax=axes, log=log)
        if self.validation_loss:
            axes.axvline(self.best_epoch, color="0.8", zorder=0, label=f"best, epoch {self.best_epoch}")
            axes.legend(frameon=False)
        return axes

    def summary(self) -> str:
        """A few lines: the number of epochs, why it ended, losses and metrics of the first, best and last epoch."""
        count = len(self.rows)
        if not count:
            return f"no epoch was completed ({self.stopped})" if self.stopped else "no epoch yet"
        marks = {"first": 0, "best": self.best_epoch - 1, "last": count - 1}
        columns = {"loss": self.loss, "validation loss": self.validation_loss}
        columns |= self.metrics
        lines = [f"{count} epoch{'s' * (count > 1)}, ended by: {self.stopped or 'nothing yet'}"]
        lines.append(f"{'':18}" + "".join(f"{f'{name} ({i + 1})':>14}" for name, i in marks.items()))
        for name, column in columns.items():
            if column:
                lines.append(f"{name:18}" + "".join(f"{column[i]:14.6g}" for i in marks.values()))
        return "\n".join(lines)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> list[float]:
        columns = self.columns()
        if name not in columns:
            raise KeyError(f"history has no column {name!r}; there are {', '.join(columns)}")
        return columns[name]

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, History) and (self.rows, self.stopped) == (other.rows, other.stopped)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def curve(self, width: int = 60, height: int = 8) -> str:
        """The losses over the epochs as text, the largest and the smallest beside them; the scale is logarithmic.

        Args:
            width, height: of the curve, in characters.

        Raises:
            ValueError: no epoch was completed.

        Example:
            >>> history = ag.History()
            >>> history.rows = [{"loss": 4.0}, {"loss": 2.0}, {"loss": 1.0}]
            >>> print(history.curve(width=9, height=3))
            loss
                4 |***
                  |   ***
                1 |      ***
                   1       3  epoch
        """
        if not self.rows:
            raise ValueError("History.curve: no epoch was completed")
        named = {"*": self.loss, "o": self.validation_loss}
        heights = {mark: [_log(x) for x in column] for mark, column in named.items() if column}
        known = [y for column in heights.values() for y in column if y is not None]
        low, high = (min(known), max(known)) if known else (0.0, 0.0)
        count, rows = len(self.rows), [[" "] * width for _ in range(height)]
        for mark, column in heights.items():
            for x in range(width):
                y = column[min(x * count // width, len(column) - 1)]
                if y is not None:
                    share = (high - y) / (high - low) if high > low else 1.0
                    rows[round(share * (height - 1))][x] = mark
        labels = [""] * height
        labels[0], labels[-1] = f"{10.0**high:.4g}", f"{10.0**low:.4g}"
        title = "loss" + (" (*), validation loss (o)" if "o" in heights else "")
        lines = [f"{label:>9} |{''.join(row)}".rstrip() for label, row in zip(labels, rows, strict=True)]
        return "\n".join([title, *lines, f"{'':11}1{count:>{width - 1}}  epoch"])

    def _repr_html_(self) -> str:
        """The summary and the curve as a picture, for a notebook."""
        text = html.escape(self.summary())
        if len(self.rows) < 2:
            return f"<pre>{text}</pre>"
        return (
            f'<img src="data:image/svg+xml;base64,{base64.b64encode(self._svg().encode()).decode()}"><pre>{text}</pre>'
        )

    def _svg(self) -> str:
        width, height = 480.0, 180.0
        named = {"#4477aa": self.loss, "#ee6677": self.validation_loss}
        heights = {color: [_log(x) for x in column] for color, column in named.items() if column}
        known = [y for column in heights.values() for y in column if y is not None] or [0.0]
        low, high = min(known), max(known)
        step, scale = width / (len(self.rows) - 1), height / (high - low or 1.0)
        lines = []
        for color, column in heights.items():
            points = " ".join(
                f"{60 + x * step:.1f},{15 + (high - y) * scale:.1f}" for x, y in enumerate(column) if y is not None
            )
            lines.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        labels = [
            (4, 20, f"{10.0**high:.3g}"),
            (4, 195, f"{10.0**low:.3g}"),
            (60, 212, "1"),
            (500, 212, str(len(self.rows))),
        ]
        texts = [f'<text x="{x}" y="{y}">{text}</text>' for x, y, text in labels]
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" width="560" height="220" font-family="sans-serif" font-size="12">'
            '<rect width="560" height="220" fill="white"/>' + "".join(lines + texts) + "</svg>"
        )

    def __str__(self) -> str:
        return f"{self.summary()}\n\n{self.curve()}" if len(self.rows) > 1 else self.summary()

    def __repr__(self) -> str:
        end = f", loss {self.loss[-1]:.6g}, {self.stopped or 'not ended'}" if self.rows else ""
        return f"History({len(self.rows)} epochs{end})"


def _log(x: float) -> float | None:
    """The height of a loss in a curve; None for what has none."""
    return log10(max(x, 1e-300)) if isfinite(x) else None
