"""Checkpoints: the state of a training on disk, and how one is resumed."""

from __future__ import annotations

from collections.abc import Mapping
from os.path import realpath
from pathlib import Path
from typing import Any

from autograd_lite import files
from autograd_lite.engine.atomic import set_numbers
from autograd_lite.engine.value import Value
from autograd_lite.optim import transformations
from autograd_lite.training.run import Run


def check_path(checkpoint: Any) -> None:
    """A file that can be written as far as can be seen: the first checkpoint comes after a whole epoch."""
    path = Path(realpath(files.path_of(checkpoint, "fit: checkpoint")))
    if path.is_dir():
        raise IsADirectoryError(f"fit: checkpoint must be the path of a file, {str(checkpoint)!r} is a directory")
    if not path.parent.is_dir():
        wrong = NotADirectoryError if path.parent.exists() else FileNotFoundError
        raise wrong(f"fit: checkpoint={str(checkpoint)!r}: {str(path.parent)!r} is no directory; make it first")


# --- checkpoints ----------------------------------------------------------------------------------------------


def callable_name(function: Any) -> str:
    """The name of a function, or of the kind of any other object that can be called: the same in every process."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def architecture(model: Any) -> str:
    """What a model is beside its parameters: type and activations."""
    kind = type(model)
    if files.MODULES.get(kind.__name__) is not kind:
        return kind.__qualname__
    g = {"activation": getattr(model, "activation", None), "output": getattr(model, "output_activation", None)}
    inner = g["activation"] if isinstance(g["activation"], dict) else {}
    named = {k: _activation(a) for k, a in g.items() if not isinstance(a, dict)}
    return f"{kind.__name__} {named | {str(j): _activation(a) for j, a in inner.items()}}"


def _activation(g: Any) -> str:
    return g if isinstance(g, str) else "none" if g is None else callable_name(g)


def rule_text(piece: Any) -> str:
    """A piece of an optimizer with its settings; of a user's own only the name, for it may keep anything."""
    return repr(piece) if type(piece).__module__ == transformations.__name__ else type(piece).__qualname__


def write_checkpoint(run: Run, names: Mapping[str, Value], told: dict[str, Any], path: Any) -> None:
    """Write the state of a training: the old file or the new one, whole."""
    payload = {
        "seed": run.history.seed,
        "told": told,
        "model": {name: p._f for name, p in names.items()},
        "optimizer": run.optimizer.state_dict(),
        "history": run.history.rows,
        "best": None if run.best is None else {"epoch": run.best[0], "model": run.best[1]},
    }
    files.write("checkpoint", payload, path)


def resume_from(run: Run, names: Mapping[str, Value], told: dict[str, Any], found: dict[str, Any], path: Any) -> None:
    """Put model, optimizer and history into the state of a checkpoint; all of it or nothing."""
    for key, value in told.items():
        if found["told"].get(key) != value:
            raise ValueError(
                f"fit: the checkpoint {path} is of another training: its {key} was {_short(found['told'].get(key))}, "
                f"now it is {_short(value)}"
            )
    best = found["best"]
    numbers = _checkpoint_numbers([found["model"].get(name) for name in names], "model", path)
    if best is not None:
        best = (best.get("epoch"), _checkpoint_numbers(best.get("model"), "best", path))
        if type(best[0]) is not int or not 0 < best[0] <= len(found["history"]) or len(best[1]) != len(names):
            raise _odd("best", path)
    try:
        loaded = run.optimizer.loading(found["optimizer"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"fit: the checkpoint {path}: its part 'optimizer' cannot be taken up: {error}") from error
    run.history.rows = list(found["history"])
    run.best = best
    set_numbers(names.values(), numbers, loaded)


def read_checkpoint(path: Any) -> dict[str, Any]:
    """The payload of a checkpoint whose parts are of the kinds that `write_checkpoint` writes."""
    found = files.read(path, "checkpoint")
    for row in found["history"]:
        numbers = [row.get(key) for key in ("loss", "largest_loss", "learning_rate")]
        numbers += [row["validation_loss"]] if "validation_loss" in row else []
        for key in ("gradient_norms", "metrics"):
            inner = row.get(key, {})
            numbers += inner.values() if isinstance(inner, dict) else [None]
        _checkpoint_numbers(numbers, "history", path)
    return found


def _checkpoint_numbers(numbers: Any, part: str, path: Any) -> list[Any]:
    if not isinstance(numbers, list) or any(type(x) not in (int, float) for x in numbers):
        raise _odd(part, path)
    return numbers


def _odd(part: str, path: Any) -> ValueError:
    return ValueError(f"fit: the checkpoint {path}: its part {part!r} is missing or not what a checkpoint holds")


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."
