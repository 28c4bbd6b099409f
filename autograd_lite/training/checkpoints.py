"""Checkpoints: the state of a training in a file, and how a training is resumed from one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from autograd_lite import files
from autograd_lite.atomic_write import check_writable, path_of
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.reading import number_of
from autograd_lite.engine.value import Value
from autograd_lite.optim import transformations
from autograd_lite.optim.transformations import RENAMED
from autograd_lite.training.run import Run


class Checkpoints:
    """The file to which the state of a training is written after some epochs: the old file or the new one, whole.

    A state that waits for its turn is kept, and written when the training ends: an interrupt in the middle of an epoch
    leaves the file of the whole epochs before it.
    """

    path: Any
    names: Any
    settings: Any
    every: int

    def __init__(self, path: Any, run: Run, names: Mapping[str, Value], settings: dict[str, Any], every: int) -> None:
        self.path, self.names, self.settings, self.every = path, names, settings, every
        self._waiting: dict[str, Any] | None = None
        # What no file can hold (a seed of 50 digits, the state of a user-defined transformation) is refused before the
        # first step, not after the first epoch.
        files.check("checkpoint", self._payload(run))

    def save(self, run: Run) -> None:
        """Take the state of now, after an epoch; write it if it is the turn of the epoch."""
        self._waiting = self._payload(run)
        if run.epoch % self.every == 0:
            self.finish()

    def finish(self) -> None:
        """Write the state that waits."""
        if self._waiting is not None:
            files.write("checkpoint", self._waiting, self.path)
            self._waiting = None

    def _payload(self, run: Run) -> dict[str, Any]:
        return {
            "seed": run.history.seed,
            "told": {**self.settings, "threads": run.history.threads},
            "model": {name: number_of(p) for name, p in self.names.items()},
            "optimizer": run.optimizer.state_dict(),
            "history": list(run.history.rows),
            "best": None if run.best is None else {"epoch": run.best[0], "model": run.best[1]},
        }


def settings_of(
    run: Run, names: Mapping[str, Value], loss: Any, data: list[Any], held_out: list[Any] | None, batch_size: int,
    shuffle: bool, backend: str,
) -> dict[str, Any]:  # fmt: skip
    """What has to be the same when a training is resumed."""
    return {
        "examples": len(data),
        "batch_size": batch_size,
        "shuffle": bool(shuffle),
        "validation": len(held_out) if held_out else 0,
        "parameters": list(names),
        "loss": _callable_name(loss),
        "model": _architecture(run.model),
        "rule": [_transform_text(transform) for transform in run.optimizer.transforms],
        "data": hashlib.sha256(repr((data, held_out)).encode()).hexdigest(),
        "backend": backend,
    }


def _callable_name(function: Any) -> str:
    """The name of a function, or of the type of another callable object: the same in every process."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _architecture(model: Any) -> str:
    """What a model is apart from its parameters: type and activations."""
    kind = type(model)
    if files.MODULES.get(kind.__name__) is not kind:
        return kind.__qualname__
    g = {"activation": getattr(model, "activation", None), "output": getattr(model, "output_activation", None)}
    inner = g["activation"] if isinstance(g["activation"], dict) else {}
    named = {k: _activation(a) for k, a in g.items() if not isinstance(a, dict)}
    return f"{kind.__name__} {named | {str(j): _activation(a) for j, a in inner.items()}}"


def _activation(g: Any) -> str:
    return g if isinstance(g, str) else "none" if g is None else _callable_name(g)


def _transform_text(transform: Any) -> str:
    """A gradient transformation with its settings; of a user-defined one the name: its repr may hold an address."""
    ours = type(transform).__module__ == transformations.__name__
    return repr(transform) if ours else type(transform).__qualname__


def _renamed(text: str) -> str:
    """The text of a transformation in a checkpoint of an earlier version, with the name of today."""
    name, bracket, rest = text.partition("(")
    return RENAMED.get(name, name) + bracket + rest


# --- resuming -------------------------------------------------------------------------------------------------


def saved_training(checkpoint: Any, resume: Any, seed: Any) -> dict[str, Any] | None:
    """The payload to resume from, or None to start anew; both paths are checked before any work is done."""
    if checkpoint is not None:
        check_writable(checkpoint, "fit: checkpoint")
    path = checkpoint if resume is True else resume
    if resume is True and path is None:
        raise ValueError("fit: resume=True needs the path of a checkpoint")
    if path is None or path is False:
        return None
    if resume is True and not path_of(path, "fit: resume").exists():
        return None
    found = read_checkpoint(path)
    if seed not in (None, found["seed"]):
        raise ValueError(f"fit: the checkpoint {path} has the seed {found['seed']}, not {seed}")
    return found


def read_checkpoint(path: Any) -> dict[str, Any]:
    """The payload of a checkpoint whose parts have the types that `Checkpoints.save` writes."""
    found = files.read(path, "checkpoint")
    for row in found["history"]:
        numbers = [row.get(key) for key in ("loss", "largest_loss", "learning_rate")]
        numbers += [row["validation_loss"]] if "validation_loss" in row else []
        for key in ("gradient_norms", "metrics"):
            inner = row.get(key, {})
            numbers += inner.values() if isinstance(inner, dict) else [None]
        _numbers(numbers, "history", path)
    return found


def resume_from(
    run: Run, names: Mapping[str, Value], settings: dict[str, Any], found: dict[str, Any], path: Any
) -> None:
    """Put model, optimizer and history into the state of a checkpoint; all of it or nothing."""
    saved = dict(found["told"])
    if isinstance(saved.get("rule"), list):
        saved["rule"] = [_renamed(str(text)) for text in saved["rule"]]
    saved.setdefault("backend", settings["backend"])  # earlier versions did not say
    for key, value in settings.items():
        if saved.get(key) != value:
            raise ValueError(
                f"fit: the checkpoint {path} is of another training: its {key} was {_short(saved.get(key))}, "
                f"now it is {_short(value)}"
            )
    best = found["best"]
    numbers = _numbers([found["model"].get(name) for name in names], "model", path)
    if best is not None:
        best = (best.get("epoch"), _numbers(best.get("model"), "best", path))
        if type(best[0]) is not int or not 0 < best[0] <= len(found["history"]) or len(best[1]) != len(names):
            raise _mismatch("best", path)
    try:
        loaded = run.optimizer.loading(found["optimizer"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"fit: the checkpoint {path}: its part 'optimizer' cannot be loaded: {error}") from error
    run.history.rows = list(found["history"])
    run.best = best
    set_numbers(names.values(), numbers, loaded)


def _numbers(numbers: Any, part: str, path: Any) -> list[Any]:
    if not isinstance(numbers, list) or any(type(x) not in (int, float) for x in numbers):
        raise _mismatch(part, path)
    return numbers


def _mismatch(part: str, path: Any) -> ValueError:
    return ValueError(f"fit: the checkpoint {path}: its part {part!r} is missing or not what a checkpoint holds")


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."
