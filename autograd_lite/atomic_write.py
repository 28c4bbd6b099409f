"""Writing files so that a path holds the old file or the new one, whole, whatever happens in between."""

from __future__ import annotations

import os
import stat
import sys
import time
from contextlib import suppress
from io import UnsupportedOperation
from pathlib import Path
from secrets import token_hex
from typing import Any

from autograd_lite.engine.checks import describe

TYPES = {
    stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


WINDOWS, MACOS = sys.platform == "win32", sys.platform == "darwin"

RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))}
"""Names that mean a device on Windows, whatever suffix follows."""


def path_of(path: Any, what: str) -> Path:
    """A path as a Path; TypeError names the argument it was for."""
    try:
        return Path(path)
    except TypeError:
        raise TypeError(f"{what}: expected a file name, a str or a pathlib.Path, got {describe(path)}") from None


def check_regular(path: Path, status: os.stat_result, what: str) -> None:
    """Refuse a device, a FIFO or a socket: reading it may never end, and replacing it would remove it."""
    kind = TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise UnsupportedOperation(f"{what}: {str(path)!r} is {kind}, not a regular file")  # an OSError and ValueError


def check_writable(path: Any, what: str) -> Path:
    """The file that a path leads to, links followed; an error if it could not be replaced, as far as can be seen."""
    given = path_of(path, what)
    if WINDOWS and given.name.split(".")[0].rstrip(" ").upper() in RESERVED:
        raise UnsupportedOperation(f"{what}: Windows keeps the name {given.name!r} for a device; use another")
    target = Path(os.path.realpath(given))
    if target.is_dir():
        raise IsADirectoryError(f"{what} must be the path of a file, {str(given)!r} is a directory")
    if not target.parent.is_dir():
        wrong = NotADirectoryError if target.parent.exists() else FileNotFoundError
        raise wrong(f"{what}={str(given)!r}: {str(target.parent)!r} is not a directory; make it first")
    if target.exists():
        status = target.stat()
        check_regular(given, status, what)
        if status.st_nlink > 1:  # the new file would have one name only, and the others would keep the old one
            raise UnsupportedOperation(f"{what}: {str(given)!r} has {status.st_nlink} names (hard links); use another")
    return target


def write_whole(path: Any, data: bytes, what: str) -> None:
    """Put bytes in the place of a file in one step; mode and owner of a file that was there are kept.

    They are written to a file beside it, which then takes its name: after an error, on a full disk, or if the process
    is killed, the old file is still there.

    Args:
        path: a file name; a symbolic link is followed.
        data: the bytes.
        what: the argument that the path was, for error messages.
    """
    target = check_writable(path, what)
    old = target.stat() if target.exists() else None
    mode = None if old is None else stat.S_IMODE(old.st_mode)  # a new file gets what the process's umask leaves
    beside = target.with_name(f".{target.name[:50]}.{token_hex(8)}.tmp")

    def opened(name: str, flags: int) -> int:
        return os.open(name, flags, 0o666 if mode is None else mode & 0o666)

    try:
        with open(beside, "xb", opener=opened) as file:
            file.write(data)
            file.flush()
            _sync(file.fileno())
        if old is not None and mode is not None:
            _keep_owner(beside, old, f"{what}: {str(path)!r}")
            os.chmod(beside, mode)
        _replace(beside, target, f"{what}: {str(path)!r}")
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync(handle: int) -> None:
    """Flush to the disk itself: on macOS fsync ends at the disk's cache, and F_FULLFSYNC goes on."""
    if MACOS:
        import fcntl

        with suppress(OSError):  # a share of the network may not know it; then fsync is the most there is
            fcntl.fcntl(handle, FULL)
            return
    os.fsync(handle)


FULL = 51
"""F_FULLFSYNC, which `fcntl` names on macOS alone."""

WAITS = (0.01, 0.05, 0.2, 0.5)
"""Seconds between attempts: a virus scanner or a search index holds a new file for about this long."""


def _replace(beside: Path, target: Path, what: str) -> None:
    """Give a file its name. Windows refuses while another program has the old file open, or if that is read-only."""
    for wait in (*WAITS, None) if WINDOWS else (None,):
        try:
            os.replace(beside, target)
            return
        except PermissionError as error:
            if not WINDOWS:
                raise
            free = not target.exists() or os.access(target, os.W_OK)
            if wait is None or not free:
                why = "is open in another program" if free else "is read-only"
                raise PermissionError(error.errno, f"{what} {why}, and stays as it was", str(target)) from None
            time.sleep(wait)


def _keep_owner(beside: Path, old: os.stat_result, what: str) -> None:
    new = beside.stat()
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        try:
            os.chown(beside, old.st_uid, old.st_gid)
        except PermissionError:
            raise PermissionError(f"{what} belongs to another user or group, which a new file could not keep") from None


def _sync_directory(directory: Path) -> None:
    """Make the new name durable too, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # the file has its name; some file systems of a network cannot do more
                os.fsync(handle)
        finally:
            os.close(handle)
