"""Activations by name: from a name to a function, and back for a saved file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from autograd_lite.engine import functions
from autograd_lite.engine.checks import describe, did_you_mean, known_as
from autograd_lite.engine.rules import TABLE, Row
from autograd_lite.names import ActivationName, Text

Activation: TypeAlias = ActivationName | Text | Callable[[Any], Any] | None
"""What a layer takes as its activation: a name, also that of a user-defined primitive, or a function of one Value."""


def activation_function(activation: Any, what: str = "activation") -> Callable[[Any], Any] | None:
    """The function of an activation given by name or as a function; None for the identity."""
    if activation is None:
        return None
    if callable(activation):
        return activation  # type: ignore[no-any-return]
    if not isinstance(activation, str):
        raise TypeError(f"{what}: expected a name, a function of one Value or None, got {describe(activation)}")
    activation = usual_name(activation)
    if activation in ("linear", "identity"):
        return None
    if activation in activation_names():
        return functions.function_called(activation)  # type: ignore[no-any-return]
    hint = did_you_mean(activation, [*activation_names(), "linear"])
    raise ValueError(
        f"{what}: unknown activation {activation!r}; known are {', '.join(activation_names())}, None, 'linear' "
        f"or 'identity' for none, or any function of one Value{hint}"
    )


def usual_name(activation: Any) -> Any:
    """The name of ours for an activation's name in any case ("ReLU") or of another library; all else as it is."""
    if not isinstance(activation, str) or activation == "identity":
        return activation
    return known_as(activation, [*activation_names(), "linear"]) or activation


def activation_names() -> list[str]:
    """The names that may stand for an activation: the primitives of one operand, built-in and user-defined."""
    rows = (row for row in TABLE.values() if row.name[0] != "_" and not row.variadic)
    return list(dict.fromkeys(row.name for row in rows if len(row.operands) - len(row.defaults) == 1))


def activation_name(g: Any) -> str | None:
    """The name under which a file can find an activation again; TypeError for a user-defined function."""
    if g is None or isinstance(g, str):
        return g
    name: str = getattr(g, "__name__", "")
    row = getattr(g, "row", None)  # of a user-defined primitive, whose name may mean a later definition by now
    if name in activation_names() and (isinstance(row, Row) or functions.function_called(name) is g):
        return name
    raise TypeError(
        f"save: the activation {describe(g)} is a user-defined function, and a file holds no code; define it with "
        "ag.primitive and give the layer its name, or save the state_dict()"
    )


def shown_activation(activation: Any, name: str = "activation") -> str:
    """The argument of a constructor that gives an activation, for a repr: `, activation='tanh'`; "" for None."""
    if activation is None:
        return ""
    return f", {name}={activation!r}" if isinstance(activation, str) else f", {name}={activation.__name__}"
