"""Files when things go wrong: the writer killed at any moment, bits flipped, the end missing, contents made up."""

import json
import os
import subprocess
import sys

import pytest

import autograd_lite as ag
from autograd_lite import files, optim
from tools import fuzz_loader

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="the writer that is killed is a fork, which Windows lacks")

# A child saves two states in turn, for ever; the parent kills it after a random while and loads what is there.
KILLED_ANY_TIME = """
import json, os, random, signal, sys, time
import autograd_lite as ag
path, times = sys.argv[1], int(sys.argv[2])
folder, rng = os.path.dirname(path), random.Random(0)
states = [{f"w{i}": i / (3 + k) for i in range(300)} for k in range(2)]
ag.save(states[0], path)
whole = [0, 0]
inside = left = 0
for n in range(times):
    child = os.fork()
    if not child:
        k = n % 2
        while True:
            k = 1 - k
            ag.save(states[k], path)
    time.sleep(rng.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    whole[states.index(ag.load(path))] += 1  # no such index: a file that is neither
    beside = [name for name in os.listdir(folder) if name != os.path.basename(path)]
    inside += bool(beside)
    for name in beside:
        os.remove(os.path.join(folder, name))
print(json.dumps([whole, inside]))
"""

# A child that kills itself at the nth line of files.py and atomic_write.py that its save runs, for every n.
KILLED_AT_A_LINE = """
import json, os, sys
import autograd_lite as ag
import autograd_lite.files
path, found, n = sys.argv[1], [], 0
while True:
    n += 1
    ag.save({"w": 1.0}, path)
    child = os.fork()
    if not child:
        left = n

        def trace(frame, event, argument):
            global left
            if not frame.f_code.co_filename.endswith(("files.py", "atomic_write.py")):
                return None
            if event == "line":
                left -= 1
                if not left:
                    os.kill(os.getpid(), 9)
            return trace

        sys.settrace(trace)
        ag.save({"w": 2.0}, path)
        os._exit(0)
    ended = os.waitpid(child, 0)[1]
    found.append(ag.load(path)["w"])
    if ended == 0:
        break
print(json.dumps(found))
"""


def output_of(program, *arguments):
    command = [sys.executable, "-c", program, *map(str, arguments)]
    unmeasured = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}  # which would trace its forks
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=unmeasured).stdout)


@forks
@pytest.mark.parametrize("times", [20, pytest.param(200, marks=pytest.mark.long)])
def test_fault_28_a_writer_killed_in_the_middle_leaves_the_old_file_or_the_new_one(times, tmp_path):
    """kill -9 while a file is replaced: one of the two, whole; and the next save goes well."""
    path = tmp_path / "state.json"
    whole, inside = output_of(KILLED_ANY_TIME, path, times)
    print(f"killed {times} times, {inside} in the middle of a save; {whole} were the one and the other state")
    assert sum(whole) == times
    assert inside > times / 10
    ag.save({"n": 1.0}, path)
    assert ag.load(path) == {"n": 1.0}


@forks
def test_a_writer_killed_at_any_line_leaves_the_old_file_or_the_new_one(tmp_path):
    found = output_of(KILLED_AT_A_LINE, tmp_path / "state.json")
    assert len(found) > 50
    turn = found.index(2.0)
    assert found == [1.0] * turn + [2.0] * (len(found) - turn)


# --- damage -----------------------------------------------------------------------------------------------


def a_model():
    model = ag.Neuron(2, activation="tanh", seed=0)
    model.w[0].data, model.w[1].data, model.b.data = 1e-05, -2.5, 12.0
    return model


SAVED = {"model": a_model, "optimizer": lambda: optim.Adam([ag.Parameter(1.0)], 0.1), "state": lambda: {"w": 1 / 3}}


def taken(raw, path):
    """Whether these bytes are loaded (by what `load` gives a file's bytes to, which spares writing 5,000 files)."""
    try:
        files._parsed(raw, path)
    except ValueError as refusal:
        return "f.json" not in str(refusal)
    return True


@pytest.mark.parametrize("what", SAVED)
def test_fault_29_whatever_is_not_the_file_that_was_written_is_refused(what, tmp_path):
    """Cut short, empty, any one bit flipped, something added; another version, kind or program: each says which."""
    path = tmp_path / "f.json"
    ag.save(SAVED[what](), path)
    good = path.read_bytes()
    bad = [good[:n] for n in range(len(good))]
    bad += [bytes([*good[:i], good[i] ^ 1 << bit, *good[i + 1 :]]) for i in range(len(good)) for bit in range(8)]
    bad += [good + b"\n", good + b" ", b" " + good, good + good, good[:-1], good.replace(b", ", b",")]
    assert not [raw for raw in bad if taken(raw, path)]
    path.write_bytes(bad[-7])
    with pytest.raises(ValueError, match=r"f\.json"):
        ag.load(path)
    head = json.loads(good)
    del head["checksum"]
    for change, words in (
        ({"version": 2}, "version of the file is 2, this package reads 1"),
        ({"version": True}, "version of the file is True"),
        ({"kind": "virus"}, "unknown kind 'virus'; known are module, optimizer, state, checkpoint"),
        ({"format": "pickle"}, 'JSON, but not of ours: "format"'),
    ):
        path.write_bytes(files._document({**head, **change}).encode())
        with pytest.raises(ValueError, match=words):
            ag.load(path)
    for raw, words in ((b"", "is empty"), (b'{"weights": [1]}', "not of ours"), (b"\x80\x04\x95", "not plain text")):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=words):
            ag.load(path)
    path.write_bytes(good)
    with pytest.raises(ValueError, match="expected a file of the kind 'checkpoint'"):
        ag.fit(ag.MLP(1, [1]), [[1.0]], [1.0], resume=path)


# --- contents made up -------------------------------------------------------------------------------------


def test_a_fuzzed_file_is_refused_or_is_what_save_writes(tmp_path):
    """A short run of the fuzzer; `python -m tools.fuzz_loader --minutes 10` is a long one."""
    fuzz_loader.fuzz(tmp_path, 250, 0)
    assert fuzz_loader.COUNTS["refused"] > 50


def made_up(path, kind, payload, **more):
    head = {"format": "autograd_lite", "version": 1, "kind": kind, "payload": payload, **more}
    path.write_text(files._document(head))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["parameters"].update(b=True),
        lambda p: p["parameters"].update(b=12),
        lambda p: p["config"].update(init=3.0),
        lambda p: p["config"].update(n_in=2.0),
        lambda p: p.update(frozen=["b", "b"]),
        lambda p: p.update(note="x"),
        lambda p: p["config"].pop("activation"),
        lambda p: p["parameters"].update(b=p["parameters"].pop("b"), **{"w[0]": p["parameters"].pop("w[0]")}),
    ],
)
def test_a_module_that_save_would_write_otherwise_is_refused(change, tmp_path):
    """A checksum that fits makes it none of ours: numbers of another type, more entries, another order."""
    path = tmp_path / "f.json"
    ag.save(a_model(), path)
    payload = json.loads(path.read_text())["payload"]
    change(payload)
    with pytest.raises(ValueError, match=r"f\.json"):
        ag.load(made_up(path, "module", payload))


def test_entries_beside_the_four_and_states_of_the_wrong_kind_are_refused(tmp_path):
    path = tmp_path / "f.json"
    with pytest.raises(ValueError, match="checksum does not fit"):
        ag.load(made_up(path, "state", {"w": 1.0}, author="x"))
    adam = optim.Adam([ag.Parameter(1.0)]).state_dict()
    for kind, payload, part in (
        ("state", adam, "rule"),
        ("optimizer", {"w": 1.0}, "rule"),
        ("optimizer", {**adam, "steps": True}, "steps"),
        ("checkpoint", adam, "seed"),
    ):
        with pytest.raises(ValueError, match=f"its part '{part}'"):
            ag.load(made_up(path, kind, payload))


def test_parameters_may_have_any_names(tmp_path):
    """Those of the parts of other kinds of file too."""
    state = {"pieces": 1.0, "history": 2.0, "rule": 3.0, "steps": 4.0, "format": 5.0, "checksum": 6.0, "": 7.0}
    ag.save(state, tmp_path / "f.json")
    assert ag.load(tmp_path / "f.json") == state
    ag.save({"history": [1.0, 2.0]}, tmp_path / "f.json")
    assert ag.load(tmp_path / "f.json") == {"history": [1.0, 2.0]}
