"""Writing files so that a path holds the old file or the new one, whole, whatever happens in between."""

from __future__ import annotations

import os
import stat
from io import UnsupportedOperation
from pathlib import Path
from secrets import token_hex
from typing import Any

from autograd_lite.engine.checks import describe

TYPES = {
    stat.S_IFIFO: "a FIFO", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


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
            os.fsync(file.fileno())
        if old is not None and mode is not None:
            _keep_owner(beside, old, f"{what}: {str(path)!r}")
            os.chmod(beside, mode)
        os.replace(beside, target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


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
            os.fsync(handle)
        finally:
            os.close(handle)
