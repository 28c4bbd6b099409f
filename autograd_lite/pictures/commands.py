"""Where the commands are that draw: Graphviz's dot, and ffmpeg."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def find_command(name: str) -> str | None:
    """The path of a command, or None. Windows' own search, as Python's, begins in the current directory: not here."""
    if sys.platform != "win32":
        return shutil.which(name)
    folders = [Path(entry.strip('"')) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    found = (folder / f"{name}.exe" for folder in folders if folder.is_absolute())
    return next((str(path) for path in found if path.is_file()), None)
