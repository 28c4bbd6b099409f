"""LLVM IR text to functions that can be called, through llvmlite, which is imported when first needed.

    why_not()                                   # "" where native code can run, else the reason
    code = compile_text(module.text())          # machine code, from the cache on disk if it is there
    run = code.function("run", ctypes.c_void_p, ctypes.c_int64)
    run(array.ctypes.data, len(array))          # without the GIL

Object code is kept in the user's cache directory, under a digest of all that it depends on. AUTOGRAD_LITE_CACHE names
another directory; "off" keeps nothing. No LLVM passes run: the text says what is to be computed, and how wide.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

OLDEST = (0, 45)
"""llvmlite's oldest version with LLVM 20; 0.44 carries LLVM 15, whose text is another one."""

MOST_FILES = 2000
"""Of 10 to 60 kB, about."""


@dataclass(frozen=True)
class Target:
    """What code is made for: LLVM's name of the processor, and the features it is given on top."""

    cpu: str
    features: str

    @property
    def avx512(self) -> bool:
        """Whether vectors of 64 bytes are one register."""
        return "+avx512f" in self.features

    @classmethod
    def host(cls) -> Target:
        """This machine."""
        llvm = _llvm()
        return cls(llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())


@cache
def _llvm() -> Any:
    """llvmlite.binding, ready to make code for this machine."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name, where in _windows_symbols().items() if sys.platform == "win32" else ():
        llvm.add_symbol(name, where)
    return llvm


def _windows_symbols() -> dict[str, int]:
    """What LLVM's code for Windows names and a linker would add: a mark, and what touches pages of large frames."""
    probe: Any = ctypes.WinDLL("ntdll").__getattr__("__chkstk")  # type: ignore[attr-defined]
    return {"_fltused": ctypes.addressof(_MARK), "__chkstk": ctypes.cast(probe, ctypes.c_void_p).value or 0}


_MARK = ctypes.c_int(0x9875)
"""Nobody reads it, but its address must be one."""


@cache
def why_not() -> str:
    """Why native code cannot run here; "" where it can."""
    try:
        import llvmlite
    except ImportError:
        return "llvmlite is not installed (pip install 'autograd_lite[fast]')"
    version = tuple(int(part) for part in llvmlite.__version__.split(".")[:2])
    if version < OLDEST:
        return f"llvmlite {llvmlite.__version__} is older than {'.'.join(map(str, OLDEST))}"
    if sys.maxsize < 2**32:
        return "this Python has 32 bits"
    llvm = _llvm()
    triple = llvm.get_process_triple()
    if triple.startswith(("x86_64", "amd64")) and not llvm.get_host_cpu_features().get("fma"):
        return "this processor has no fused multiply-add"  # LLVM would call the C library for each one
    if not triple.startswith(("x86_64", "amd64", "aarch64", "arm64")):
        return f"native code has not been tried on {triple.split('-')[0]}"
    return ""


def llvm_version() -> int:
    """LLVM's major version, which Module wants to know."""
    return int(_llvm().llvm_version_info[0])


class Code:
    """Compiled functions; they may be called as long as this object is there."""

    engine: Any
    size: int
    cached: bool

    def __init__(self, engine: Any, size: int, cached: bool) -> None:
        self.engine, self.size, self.cached = engine, size, cached

    def address(self, name: str) -> int:
        """Where the function of this name starts."""
        found: int = self.engine.get_function_address(name)
        if not found:
            raise KeyError(f"the compiled code has no function {name!r}")
        return found

    def function(self, name: str, *parameters: Any) -> Callable[..., None]:
        """The function of this name as a ctypes function without result. It runs without the GIL."""
        made: Any = ctypes.CFUNCTYPE(None, *parameters)(self.address(name))
        made.code = self  # the memory of the code lives as long as this
        return made  # type: ignore[no-any-return]


def compile_text(text: str, target: Target | None = None) -> Code:
    """Machine code for a module of IR.

    Raises:
        RuntimeError: native code cannot run here, or LLVM does not take the text.
    """
    if why_not():
        raise RuntimeError(f"native code is not available: {why_not()}")
    llvm, target = _llvm(), target or Target.host()
    machine = llvm.Target.from_default_triple().create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, jit=True
    )
    path = _cached(text, target)
    code = _read(path)
    cached = code is not None
    if code is None:
        layout, triple = str(machine.target_data), llvm.get_process_triple()
        head = f'target datalayout = "{layout}"\ntarget triple = "{triple}"\n'
        code = machine.emit_object(llvm.parse_assembly(head + text))
        _write(path, code)
    empty = llvm.parse_assembly("")
    engine = llvm.create_mcjit_compiler(empty, machine)
    empty._ptr._objects.clear()  # the engine has hashed it by ctypes.cast, which leaves a pointer that refers to itself
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return Code(engine, len(code), cached)


# --- the cache on disk ------------------------------------------------------------------------------


def cache_directory() -> Path | None:
    """Where object code is kept, or None: switched off, or without a home."""
    chosen = os.environ.get("AUTOGRAD_LITE_CACHE", "")
    if chosen.lower() in ("off", "0", "no", "false"):
        return None
    if chosen:
        return Path(chosen)
    try:
        home = Path.home()
    except RuntimeError:
        return None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "autograd_lite"


def _cached(text: str, target: Target) -> Path | None:
    directory = cache_directory()
    if directory is None:
        return None
    llvm = _llvm()
    key = "\0".join([text, str(llvm.llvm_version_info), llvm.get_process_triple(), target.cpu, target.features])
    return directory / f"{hashlib.sha256(key.encode()).hexdigest()}.o"


def _read(path: Path | None) -> bytes | None:
    """Object code from the cache: of a directory that only this user can write to, whole, and under its own name."""
    try:
        if path is None or not _is_ours(path.parent) or not path.is_file():
            return None
        stored = path.read_bytes()
    except OSError:
        return None
    digest, code = stored[:32], stored[32:]
    return code if _digest(path, code) == digest else None


def _digest(path: Path, code: bytes) -> bytes:
    """Of the key too: whole code of another program, or for another processor, must not run in place of this."""
    return hashlib.sha256(path.stem.encode() + code).digest()


def _write(path: Path | None, code: bytes) -> None:
    """Object code to the cache, in one step; a directory that cannot be written to costs a compile the next time."""
    if path is None:
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(path.parent):
            return
        handle, name = tempfile.mkstemp(".o", dir=path.parent)  # one that a killed process leaves is pruned as others
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_digest(path, code) + code)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        if path.name.startswith("00"):  # once in 256 times
            _prune(path.parent)
    except OSError:
        return


def _prune(directory: Path) -> None:
    """Keep the files made last, so that a program that is made anew each day does not fill the disk."""
    files = sorted(directory.glob("*.o"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_FILES]:
        file.unlink(missing_ok=True)


def _is_ours(directory: Path) -> bool:
    """Code that others can write is not run. (Windows keeps a user's directories to the user.)"""
    if sys.platform == "win32":
        return True
    found = directory.stat()
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
