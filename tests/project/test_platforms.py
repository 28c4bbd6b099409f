"""What only Linux has, and what Windows and macOS do in its place, each simulated; docs/PLATFORMS.md lists them."""

import ast
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import autograd_lite as ag
from autograd_lite import atomic_write
from autograd_lite.pictures import commands

ROOT = Path(__file__).parents[2]
SOURCES = [
    path for folder in ("autograd_lite", "tools", "examples", "benchmarks") for path in (ROOT / folder).rglob("*.py")
]


@pytest.fixture
def windows(monkeypatch):
    monkeypatch.setattr(atomic_write, "WINDOWS", True)
    monkeypatch.setattr(atomic_write.time, "sleep", lambda seconds: None)


# --- files ----------------------------------------------------------------------------------------


def held(monkeypatch, times):
    """os.replace as on Windows while another program holds the old file, `times` times; the number of attempts."""
    attempts, real = [], os.replace

    def replace(source, target):
        attempts.append(target)
        if len(attempts) <= times:
            raise PermissionError(13, "The process cannot access the file because it is being used")
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    return attempts


@pytest.mark.usefixtures("windows")
def test_a_file_that_is_held_for_a_moment_is_replaced_after_it(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    ag.save({"n": 0.0}, path)
    attempts = held(monkeypatch, len(atomic_write.WAITS))
    ag.save({"n": 1.0}, path)
    assert ag.load(path) == {"n": 1.0}
    assert len(attempts) == len(atomic_write.WAITS) + 1
    assert os.listdir(tmp_path) == ["state.json"]


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("read_only", [False, True])
def test_a_file_that_stays_open_or_is_read_only_is_said_so(tmp_path, monkeypatch, read_only):
    path = tmp_path / "state.json"
    ag.save({"n": 0.0}, path)
    monkeypatch.setattr(os, "access", lambda path, mode: not read_only)
    attempts = held(monkeypatch, 100)
    words = "is read-only" if read_only else "is open in another program"
    with pytest.raises(PermissionError, match=rf"state\.json' {words}, and stays as it was"):
        ag.save({"n": 1.0}, path)
    assert len(attempts) == (1 if read_only else len(atomic_write.WAITS) + 1)
    assert ag.load(path) == {"n": 0.0}
    assert os.listdir(tmp_path) == ["state.json"]


def test_elsewhere_a_refusal_is_not_tried_again(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_write, "WINDOWS", False)
    attempts = held(monkeypatch, 100)
    with pytest.raises(PermissionError, match="being used"):
        ag.save({"n": 1.0}, tmp_path / "state.json")
    assert len(attempts) == 1
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("windows")
@pytest.mark.parametrize("name", ["con.svg", "NUL.svg", "Com1.svg", "lpt9.old.svg", "aux .svg"])
def test_names_of_devices_are_refused_on_windows(tmp_path, name):
    with pytest.raises(OSError, match="Windows keeps the name"):
        ag.draw(ag.Value(1.0)).save(tmp_path / name)
    assert os.listdir(tmp_path) == []
    assert ag.draw(ag.Value(1.0)).save(tmp_path / "console.svg").exists()


def test_names_of_devices_are_names_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_write, "WINDOWS", False)
    assert ag.draw(ag.Value(1.0)).save(tmp_path / "con.svg").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="fcntl is not there")
@pytest.mark.parametrize("known", [True, False])
def test_macos_flushes_the_cache_of_the_disk(tmp_path, monkeypatch, known):
    """By F_FULLFSYNC; a disk of the network that does not know it gets fsync."""
    import fcntl

    asked, synced, real = [], [], os.fsync

    def control(handle, what):
        asked.append(what)
        if not known:
            raise OSError(45, "Operation not supported")

    monkeypatch.setattr(atomic_write, "MACOS", True)
    monkeypatch.setattr(atomic_write, "_sync_directory", lambda directory: None)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), real(handle)))
    ag.save({"n": 1.0}, tmp_path / "state.json")
    assert asked == [51]
    assert len(synced) == (0 if known else 1)


@pytest.mark.skipif(not hasattr(os, "O_DIRECTORY"), reason="this system does not open directories")
def test_a_directory_that_cannot_be_flushed_does_not_undo_a_save(tmp_path, monkeypatch):
    """Some file systems of a network refuse it: the file is there, and an error would say that it is not."""
    real = os.fsync

    def fsync(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    ag.save({"n": 1.0}, tmp_path / "state.json")
    assert ag.load(tmp_path / "state.json") == {"n": 1.0}


def test_where_directories_cannot_be_opened(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "O_DIRECTORY", raising=False)
    ag.save({"n": 1.0}, tmp_path / "state.json")
    assert ag.load(tmp_path / "state.json") == {"n": 1.0}


def calls(tree, names):
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in names:
                yield node, {keyword.arg for keyword in node.keywords}, name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_files_say_their_encoding(path):
    """Windows takes the code page of the machine where a program says nothing, and turns line ends into two bytes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    wrong = []
    for node, given, name in calls(tree, {"read_text", "write_text", "open", "fdopen"}):
        modes = [x.value for x in [*node.args, *(k.value for k in node.keywords)] if isinstance(x, ast.Constant)]
        binary = any(isinstance(x, str) and set(x) <= set("rwxab+") and "b" in x for x in modes)
        of_files = name in ("read_text", "write_text") or isinstance(node.func, ast.Name) or name == "fdopen"
        if of_files and not binary and not {"encoding", "opener"} & given and name != "_open":
            wrong.append(node.lineno)
    assert not wrong


def test_no_text_is_written_in_the_code_page_of_the_machine(tmp_path):
    """The whole of the tour, with Python's own warning of it an error."""
    done = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-W", "error::EncodingWarning:autograd_lite", "-m",
         "autograd_lite", "--out", str(tmp_path / "out")],
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    for file in (tmp_path / "out").iterdir():
        assert b"\r" not in file.read_bytes()


# --- consoles -------------------------------------------------------------------------------------


def test_the_tour_prints_on_a_console_of_windows(tmp_path):
    """Redirected, it has 256 characters; a folder may have others."""
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    out = tmp_path / "α и 数"
    done = subprocess.run(
        [sys.executable, "-m", "autograd_lite", "--out", str(out)],
        capture_output=True, env=environment, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode("cp1252", "replace")
    assert rb"\u03b1" in done.stdout


def test_what_is_printed_to_be_read_fits_that_console():
    x, w = ag.Value(2.0, name="x"), ag.Parameter(-1.0, name="alpha")
    loss = (ag.tanh(w * x) - 1.0) ** 2 + ag.exp(w)
    loss.backward()
    model = ag.MLP(1, [3, 1], seed=0)
    history = ag.fit(model, [[1.0], [2.0]], [1.0, 2.0], epochs=3)
    things = [loss, ag.tape(loss), ag.explain(loss, w), ag.diagnose(loss), ag.fold(loss), history, model.summary()]
    for thing in [*things, ag.draw(loss), ag.step(loss), ag.versions()]:
        str(thing).encode("cp1252"), repr(thing).encode("cp1252")


# --- programs -------------------------------------------------------------------------------------


def test_windows_does_not_run_what_lies_in_the_current_directory(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
        (folder / "dot.exe").write_bytes(b"")
    monkeypatch.chdir(here)
    monkeypatch.setattr(commands.sys, "platform", "win32")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "here", f'"{there}"']))
    assert commands.find_command("dot") == str(there / "dot.exe")
    assert commands.find_command("ffmpeg") is None
    monkeypatch.setenv("PATH", os.pathsep.join(["", "."]))
    assert commands.find_command("dot") is None


# --- machine code ---------------------------------------------------------------------------------


class OfWindows:
    """NumPy 1 on Windows: whole numbers have 32 bits where nothing is said."""

    def __getattr__(self, name):
        import numpy as np

        made = getattr(np, name)
        if name not in ("arange", "array", "asarray", "full", "cumsum"):
            return made

        def narrow(*args, **more):
            found = made(*args, **more)
            said = "dtype" in more or (len(args) > 1 and name != "arange")
            given = isinstance(args[0], np.ndarray)
            return found.astype(np.int32) if found.dtype == np.int64 and not said and not given else found

        return narrow


def test_whole_numbers_of_32_bits_do_not_reach_machine_code(monkeypatch):
    """It reads 64: where an array had 32, `fit` shuffled what lay behind it."""
    pytest.importorskip("llvmlite", reason="machine code needs llvmlite")
    from autograd_lite.folding.backends.native import steps
    from autograd_lite.training import compiled

    def train():
        model = ag.MLP(2, [3, 1], activation="tanh", seed=1)
        X, y = [[0.1 * i, 1.0 - 0.2 * i] for i in range(24)], [float(i % 3) for i in range(24)]
        history = ag.fit(model, X, y, epochs=4, batch_size=8, seed=3, compiled="native")
        return history.loss, list(model.state_dict().values())

    expected = train()
    for module in (steps, compiled):
        monkeypatch.setattr(module, "np", OfWindows())
    drawn = random.Random(5).getrandbits
    order = steps.shuffled(50, lambda count: drawn(32 * count).to_bytes(4 * count, "little"))
    assert order.dtype.itemsize == 8
    assert sorted(order.tolist()) == list(range(50))
    assert train() == expected


CROSS = """
import subprocess, sys
import llvmlite.binding as llvm
import autograd_lite as ag
from autograd_lite.folding.backends.native import jit

llvm.initialize_all_targets()
llvm.initialize_all_asmprinters()
jit.Target.host = classmethod(lambda cls: cls("generic", ""))
texts, made = [], jit.compile_text
def grab(text, target=None):
    texts.append(text)
    return made(text, target)
jit.compile_text = grab
def f(x, y):
    return ag.tanh(x * y) + ag.sin(x) * ag.exp(y) + ag.erf(x) + ag.log(x * x + 1) + x**y + ag.floor(x) + ag.atan2(x, y)
ag.compile(f, batch=True, backend="native").value_and_grad([1.0, 2.0] * 40, [2.0, 3.0] * 40)
rows = [[0.1 * i, 1.0 - 0.2 * i] for i in range(64)]
ag.fit(ag.MLP(2, [32, 16, 1], seed=0), rows, [float(i % 3) for i in range(64)], epochs=2, compiled="native")
assert len(texts) > 2
machine = llvm.Target.from_triple(sys.argv[1]).create_target_machine(cpu=sys.argv[2], opt=2, jit=True)
for k, text in enumerate(texts):
    head = f'target datalayout = "{machine.target_data}"\\ntarget triple = "{sys.argv[1]}"\\n'
    code = machine.emit_object(llvm.parse_assembly(head + text))
    open(f"{sys.argv[3]}/{k}.o", "wb").write(code)
"""


@pytest.mark.parametrize(
    ("triple", "cpu", "allowed"),
    [
        ("x86_64-pc-windows-msvc", "haswell", {"_fltused", "__chkstk", "memset", "memcpy"}),
        ("aarch64-pc-windows-msvc", "", {"_fltused", "__chkstk", "memset", "memcpy"}),
        ("arm64-apple-darwin", "apple-m1", {"_memset", "_memcpy", "_bzero"}),
        ("aarch64-unknown-linux-gnu", "", {"memset", "memcpy"}),
    ],
)
def test_machine_code_of_other_systems_calls_no_library(tmp_path, triple, cpu, allowed):
    """LLVM makes code for them here, and what it leaves open is what the process there must have."""
    pytest.importorskip("llvmlite", reason="machine code needs llvmlite")
    done = subprocess.run(
        [sys.executable, "-c", CROSS, triple, cpu, str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=300, env={**os.environ, "AUTOGRAD_LITE_CACHE": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    objects = sorted(tmp_path.glob("*.o"))
    assert objects
    for path in objects:
        assert undefined(path) <= allowed


def undefined(path):
    nm = shutil.which("llvm-nm") or shutil.which("nm")
    if nm is None:
        pytest.skip("nm reads object files")
    done = subprocess.run([nm, "-u", str(path)], capture_output=True, text=True, check=False)
    if done.returncode or "not recognized" in done.stderr:
        pytest.skip(f"this nm does not read {path.suffix} of other systems: {done.stderr.strip()[:80]}")
    return {line.split()[-1] for line in done.stdout.splitlines() if line.strip() and not line.endswith(":")}


def test_what_windows_code_leaves_open_is_given_to_llvm(monkeypatch):
    import ctypes

    from autograd_lite.folding.backends.native import jit

    probe = ctypes.CFUNCTYPE(None)(lambda: None)
    library = type("Library", (), {"__chkstk": probe, "__getattr__": lambda self, name: probe})
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: library(), raising=False)
    found = jit._windows_symbols()
    assert set(found) == {"_fltused", "__chkstk"}
    assert all(found.values())
