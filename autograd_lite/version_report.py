"""`versions`: what runs here, in the lines that a bug report needs."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

PACKAGES = {
    "numpy": "numpy", "llvmlite": "llvmlite", "scipy": "scipy", "matplotlib": "matplotlib", "graphviz": "graphviz",
    "pygraphviz": "pygraphviz", "scikit-learn": "scikit-learn", "jax": "jax", "tqdm": "tqdm", "IPython": "ipython",
}  # fmt: skip
"""Packages that the behaviour may depend on, by the name of their distribution."""


class Versions(dict[str, str]):
    """Versions by name; shown as lines."""

    def __repr__(self) -> str:
        wide = max(map(len, self))
        return "\n".join(f"{name:{wide}}  {version}" for name, version in self.items())

    __str__ = __repr__


def versions() -> Versions:
    """The versions of this package, Python, the system, and of what is installed beside it; for a bug report.

    Returns:
        A dict of texts that prints itself as lines. A package that is not installed is "not installed"; `backend` is
        what "auto" runs programs by here, and why where that is NumPy.

    Example:
        >>> found = ag.versions()
        >>> found["autograd_lite"] == ag.__version__
        True
    """
    from autograd_lite.folding.backends import why_not

    refused = why_not("native")
    found = {
        "autograd_lite": sys.modules["autograd_lite"].__version__,
        "python": f"{platform.python_version()} ({sys.implementation.name})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "backend": "native" if not refused else f"numpy ({refused})",
    }
    return Versions(found | {name: _version(package) for name, package in PACKAGES.items()})


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
