"""Save and load: exact, whole or not at all, and safe against anything that a file may hold."""

import io
import json
import math
import os
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest

import autograd_lite as ag
from autograd_lite import atomic_write, files, optim

MODELS = {
    "MLP": lambda: ag.MLP(3, [4, 2], activation="tanh", output_activation="sigmoid", seed=0),
    "linear MLP": lambda: ag.MLP(2, [1], seed=0),
    "Layer": lambda: ag.Layer(2, 3, activation=None, seed=0),
    "Neuron": lambda: ag.Neuron(2, activation="gelu", seed=0),
    "Perceptron": lambda: ag.Perceptron(2, init="normal", seed=0),
    "Network": lambda: ag.Network([(1, 2), (1, "out"), (2, "out")], {2: "relu", "out": None}, bias=True, seed=0),
    "plain Network": lambda: ag.Network([(1, 3), (2, 3)], inputs=[2, 1], seed=0),
}


@pytest.mark.parametrize("kind", MODELS)
def test_modules_come_back_exactly(kind, tmp_path):
    model = MODELS[kind]()
    numbers = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 1 / 3, math.pi, 1e-5, 123456789012345680.0]
    for p, x in zip(model.parameters(), numbers, strict=False):
        p.data = x
    model.parameters()[1].frozen = True
    path = tmp_path / "model.json"
    ag.save(model, path)
    twin = ag.load(path)
    assert type(twin) is type(model)
    assert repr(twin) == repr(model)
    assert {k: x.hex() for k, x in twin.state_dict().items()} == {k: x.hex() for k, x in model.state_dict().items()}
    assert [p.frozen for p in twin.parameters()] == [p.frozen for p in model.parameters()]
    assert [p.name for p in twin.parameters()] == [p.name for p in model.parameters()]
    again = tmp_path / "again.json"
    ag.save(twin, again)
    assert again.read_bytes() == path.read_bytes()


def test_the_same_predictions(tmp_path):
    for kind in ("MLP", "Network", "Perceptron"):
        model = MODELS[kind]()
        ag.save(model, tmp_path / "model.json")
        X = [[0.3, -1.5, 2.0][: len(model.inputs) if kind == "Network" else 3 if kind == "MLP" else 2]] * 2
        assert ag.load(tmp_path / "model.json").predict(X).tolist() == model.predict(X).tolist()


def test_an_activation_given_as_our_function_is_saved_by_its_name(tmp_path):
    ag.save(ag.Neuron(1, activation=ag.sigmoid, seed=0), tmp_path / "f.json")
    assert ag.load(tmp_path / "f.json").activation == "sigmoid"
    ag.primitive("bump_for_files", "exp(-(a * a))", "-2 * a * out")
    ag.save(ag.MLP(1, [2, 1], activation="bump_for_files", seed=0), tmp_path / "f.json")
    assert ag.load(tmp_path / "f.json")([0.5]).op == "dot"


def test_optimizers_and_state_dicts(tmp_path):
    p = [ag.Parameter(1.0), ag.Parameter(2.0)]
    optimizer = optim.Adam(p, 0.1, weight_decay=0.1)
    for _ in range(3):
        p[0].grad, p[1].grad = 1 / 3, -0.7
        optimizer.step()
    path = tmp_path / "adam.json"
    ag.save(optimizer, path)
    twin = optim.Adam([ag.Parameter(x.item()) for x in p], 0.5, weight_decay=0.1)
    twin.load_state_dict(ag.load(path))
    assert twin.state_dict() == optimizer.state_dict()

    class Own(ag.Module):
        def __init__(self):
            self.slope = ag.Parameter(0.1)

    own = Own()
    with pytest.raises(TypeError, match=r"Own is a user-defined module.*state_dict"):
        ag.save(own, path)
    ag.save(own.state_dict(), path)
    assert ag.load(path) == {"slope": 0.1}


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: 3, TypeError, "expected a module"),
        (lambda: ag.Value(1.0), TypeError, "expected a module"),
        (lambda: {"w": math.nan}, ValueError, "w is nan"),
        (lambda: {"w": [1.0, math.inf]}, ValueError, "w is inf"),
        (lambda: {"w": ag.Value(1.0)}, TypeError, "w is Value"),
        (lambda: ag.Neuron(2, activation=lambda z: z, seed=0), TypeError, "user-defined function"),
    ],
)
def test_what_cannot_be_saved_leaves_the_old_file(make, error, words, tmp_path):
    path = tmp_path / "file.json"
    ag.save({"w": 1.0}, path)
    with pytest.raises(error) as caught:
        ag.save(make(), path)
    assert words in str(caught.value)
    assert ag.load(path) == {"w": 1.0}
    assert os.listdir(tmp_path) == ["file.json"]


def changed(change, make=lambda: ag.MLP(2, [3, 1], activation="tanh", seed=1)):
    model = make()
    change(model)
    return model


def first(model):
    return model.layers[0].neurons[0]


def tie(model):
    model.layers[0].neurons[0].w[0] = model.layers[0].neurons[1].w[0]


def tie_and_add(model):
    tie(model)
    model.extra = ag.Parameter(1.0)


def tie_the_last(model):
    """All names are there, each once and in order; but one is kept elsewhere."""
    model.layers[1].neurons[0].b = first(model).b
    setattr(model, "layers[1].neurons[0].b", ag.Parameter(1.0))


def a_network():
    return ag.Network([(1, 3), (2, 3), (3, 4)], {3: "tanh"}, bias=True, seed=0)


class OwnParameter(ag.Parameter):
    pass


CHANGED = {
    "another layer": (lambda m: m.layers.__setitem__(0, ag.Layer(2, 3, "sigmoid", seed=4)), "layers[0].activation is str 'sigmoid', and str 'tanh' in MLP(2, [3, 1], activation='tanh')"),  # noqa: E501
    "a layer more": (lambda m: m.layers.append(ag.Layer(1, 1, None)), "layers[1].activation is NoneType None, and str 'tanh'"),  # noqa: E501
    "a layer fewer": (lambda m: m.layers.pop(), "layers[0].activation is str 'tanh', and NoneType None"),
    "another last layer": (lambda m: m.layers.__setitem__(1, ag.Layer(3, 1, "tanh")), "layers[1].activation"),
    "no layer": (lambda m: m.layers.clear(), "list index out of range"),
    "a neuron for a layer": (lambda m: m.layers.__setitem__(1, ag.Neuron(3, None)), "'n_out'"),
    "widths that do not fit": (lambda m: m.layers.__setitem__(1, ag.Layer(2, 1, None)), "12 parameters do not make"),
    "another neuron": (lambda m: m.layers[0].neurons.__setitem__(1, ag.Neuron(2, "relu")), "layers[0].neurons[1].activation is str 'relu'"),  # noqa: E501
    "a perceptron": (lambda m: m.layers[1].neurons.__setitem__(0, ag.Perceptron(3)), "layers[1].neurons[0] is Perceptron Perceptron(3), and Neuron Neuron(3)"),  # noqa: E501
    "the name of an activation": (lambda m: setattr(first(m), "activation", "relu"), "neurons[0].activation is str 'relu'"),  # noqa: E501
    "what an activation runs": (lambda m: setattr(first(m), "_activate", ag.relu), "neurons[0]._activate is"),
    "a user-defined function": (lambda m: setattr(first(m), "_activate", lambda z: z), "neurons[0]._activate is"),
    "the activation of all": (lambda m: setattr(m, "activation", "relu"), "layers[0].activation is str 'tanh'"),
    "an unknown name": (lambda m: setattr(m, "activation", "nonsense"), "unknown activation 'nonsense'"),
    "a size": (lambda m: setattr(m.layers[0], "n_in", 10**18), "13 parameters do not make MLP"),
    "a size inside": (lambda m: setattr(first(m), "n_in", 3), "layers[0].neurons[0].n_in is int 3, and int 2"),
    "tied weights": (tie, "12 parameters do not make MLP"),
    "tied weights and one more": (tie_and_add, "layers[0].neurons[1].w[0] is layers[0].neurons[0].w[0], and Parameter"),
    "one tied, one of its name": (tie_the_last, "layers[1].neurons[0].b is layers[0].neurons[0].b, and Parameter"),
    "a shared layer": (lambda m: m.layers.insert(1, ag.Layer(3, 3, "tanh")) or m.layers.insert(1, m.layers[1]), "25 parameters"),  # noqa: E501
    "a shared neuron": (lambda m: m.layers[0].neurons.__setitem__(0, m.layers[0].neurons[1]), "10 parameters"),
    "a parameter more": (lambda m: setattr(m, "extra", ag.Parameter(1.0)), "14 parameters"),
    "no parameter": (lambda m: first(m).w.__setitem__(0, ag.Value(1.0)), "12 parameters"),
    "a user-defined parameter": (lambda m: setattr(first(m), "b", OwnParameter(1.0)), "layers[0].neurons[0].b is OwnParameter"),  # noqa: E501
    "a tuple": (lambda m: setattr(first(m), "w", tuple(first(m).w)), "layers[0].neurons[0].w is tuple"),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGED)
def test_a_model_that_its_constructor_would_not_make_is_refused(what, tmp_path):
    """It would load as another, or not at all. The old file stays; the state_dict, as the message says, is saved."""
    change, words = CHANGED[what]
    path, model = tmp_path / "file.json", changed(change)
    ag.save({"w": 1.0}, path)
    with pytest.raises(
        ValueError, match=r"this MLP was changed after it was made.*; save its state_dict\(\)"
    ) as caught:
        ag.save(model, path)
    assert words in str(caught.value)
    assert ag.load(path) == {"w": 1.0}
    assert os.listdir(tmp_path) == ["file.json"]
    ag.save(model.state_dict(), path)
    twin = changed(change)
    twin.load_state_dict(ag.load(path))
    assert twin.state_dict() == model.state_dict()


@pytest.mark.parametrize(
    ("make", "change", "words"),
    [
        (lambda: ag.Layer(2, 2, seed=0), lambda m: m.neurons.__setitem__(0, ag.Neuron(2, "tanh")), "neurons[0].act"),
        (lambda: ag.Layer(2, 2, None), lambda m: m.neurons.__setitem__(0, ag.Perceptron(2)), "neurons[0] is Perceptr"),
        (lambda: ag.Layer(2, 2, seed=0), lambda m: m.neurons.pop(), "3 parameters do not make Layer"),
        (lambda: ag.Neuron(2, seed=0), lambda m: m.w.append(ag.Parameter(1.0)), "4 parameters do not make Neuron"),
        (lambda: ag.Neuron(2, seed=0), lambda m: setattr(m, "activation", "tanh"), "_activate is function"),
        (lambda: ag.Perceptron(2), lambda m: setattr(m, "_activate", ag.tanh), "_activate is function"),
        (a_network, lambda m: m.w.update({(1, 3): m.w[2, 3]}), "4 parameters do not make Network"),
        (a_network, lambda m: m._activate.update({4: ag.tanh}), "_activate[4] is function"),
        (a_network, lambda m: m.activation.update({4: "tanh"}), "_activate[4] is NoneType"),
        (a_network, lambda m: m.edges.reverse(), "_into is dict"),
    ],
)
def test_so_is_a_part_or_a_network(make, change, words, tmp_path):
    model = changed(change, make)
    with pytest.raises(ValueError, match="was changed after it was made") as caught:
        ag.save(model, tmp_path / "file.json")
    assert words in str(caught.value)
    assert not os.listdir(tmp_path)


def test_what_was_changed_into_what_a_constructor_makes_is_saved(tmp_path):
    model = ag.MLP(2, [3, 3, 1], activation="tanh", seed=0)
    model.layers[0] = ag.Layer(2, 5, activation=ag.tanh, seed=1)
    model.layers[1:] = [ag.Layer(5, 1, None, seed=2)]
    first(model).w[0] = ag.Parameter(0.25)
    model.note = "of Monday"
    for part in (model, model.layers[0], first(model)):
        ag.save(part, tmp_path / "file.json")
        twin = ag.load(tmp_path / "file.json")
        assert type(twin) is type(part)
        assert twin.state_dict() == part.state_dict()
        X = [[0.5, -1.0], [2.0, 0.25]]
        assert twin.predict(X).tolist() == part.predict(X).tolist()


def test_a_primitive_defined_anew_since_is_no_change(tmp_path):
    """The model runs the new one, as one made now would."""
    ag.primitive("anew_for_files", "exp(a)", "out")
    model = ag.Neuron(1, "anew_for_files", seed=0)
    ag.primitive("anew_for_files", "exp(2 * a)", "2 * out")
    ag.save(model, tmp_path / "file.json")
    assert ag.load(tmp_path / "file.json")([0.5]).item() == model([0.5]).item()


def nested(depth):
    thing = 1.0
    for _ in range(depth):
        thing = [thing]
    return thing


def loop():
    state = {}
    state["self"] = [state]
    return state


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: {1: 1.0, "1": 2.0}, TypeError, "the key 1 in the state is int 1; in a file names are strings"),
        (lambda: {1: 2.0}, TypeError, "the key 1 in"),
        (lambda: {None: 1.0}, TypeError, "the key None in"),
        (lambda: {"x": {"y": 1.0, 2.5: 1.0}}, TypeError, "the key 2.5 in x"),
        (lambda: {"x": 10**50}, ValueError, "load would refuse this.*51 digits"),
        (lambda: {"x": 10**5000}, ValueError, "load would refuse this"),
        (lambda: {"x": nested(31)}, ValueError, "x is nested more than 32 deep"),
        (lambda: {"x": nested(100_000)}, ValueError, "x is nested more than 32 deep"),
        (loop, ValueError, "self is nested"),
        (lambda: {"x": (1.0, 2.0)}, TypeError, r"x is tuple \(1.0, 2.0\)"),
        (lambda: {"x": "\ud83d\ude00"}, ValueError, "'x' as something else"),
        (lambda: {"\ud83d\ude00": 1.0}, ValueError, "as something else"),
        (lambda: {"history": math.nan}, ValueError, "history is nan"),
    ],
)  # fmt: skip
def test_a_state_that_load_would_refuse_or_change_is_refused(make, error, words, tmp_path):
    path = tmp_path / "file.json"
    ag.save({"w": 1.0}, path)
    with pytest.raises(error, match=words):
        ag.save(make(), path)
    assert ag.load(path) == {"w": 1.0}
    assert os.listdir(tmp_path) == ["file.json"]


def test_what_is_just_within_the_limits_comes_back(tmp_path):
    state = {"x": nested(30), "n": 10**39, "e": "\U0001f600", "\ud83d": -0.0, "t": True, "none": None}
    ag.save(state, tmp_path / "file.json")
    assert ag.load(tmp_path / "file.json") == state


def test_a_checkpoint_that_could_not_be_resumed_is_refused(tmp_path):
    path = tmp_path / "file.json"
    with pytest.raises(ValueError, match=r"load would refuse this.*51 digits"):
        ag.fit(ag.MLP(1, [1]), [[1.0]], [1.0], epochs=1, seed=10**50, checkpoint=path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("path", [None, 3, b"file.json"])
def test_a_path_that_is_none_is_refused_by_its_name(path):
    model = ag.MLP(1, [1], seed=0)
    for what, act in (
        ("save: path", lambda: ag.save(model, path)),
        ("save: path", lambda: ag.save(model.state_dict(), path)),
        ("load: path", lambda: ag.load(path)),
        ("fit: resume", lambda: ag.fit(model, [[1.0]], [1.0], resume=path or 4)),
        ("fit: checkpoint", lambda: ag.fit(model, [[1.0]], [1.0], epochs=1, checkpoint=path or 4)),
    ):
        with pytest.raises(TypeError, match=f"{what}: expected a file name, a str or a pathlib.Path, got "):
            act()


# --- damage ------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "model.json"
    model = ag.Neuron(2, activation="tanh", seed=0)
    model.w[0].data, model.w[1].data, model.b.data = 1e-05, -2.5, 12.0
    ag.save(model, path)
    return path


def sealed(path, **changes):
    """A file with a checksum that fits, whatever it says."""
    head = {"format": "autograd_lite", "version": 1, "kind": "module", "payload": {}, **changes}
    path.write_text(files._document(head))
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "version of the file is 2"),
        ({"version": True}, "version of the file is True"),
        ({"version": 1.0}, r"version of the file is 1\.0"),
        ({"kind": "virus"}, "unknown kind 'virus'"),
        ({"format": "pickle"}, "not of ours"),
        ({"payload": []}, "checksum|payload"),
        ({"payload": {"type": "os.system", "config": {}, "parameters": {}, "frozen": []}}, "module 'os.system'"),
        ({"payload": {"type": "MLP"}}, "config"),
        ({"payload": {"type": "MLP", "config": {"n_in": 10**18, "n_outs": [10**18]}, "parameters": {}, "frozen": []}},
         "0 parameters do not make MLP"),
        ({"payload": {"type": "Neuron", "config": {"n_in": 1, "activation": "__import__"},
                      "parameters": {"w[0]": 1.0, "b": 1.0}, "frozen": []}}, "__import__"),
        ({"payload": {"type": "Neuron", "config": {"n_in": 1, "seed": 3}, "parameters": {"w[0]": 1.0, "c": 1.0},
                      "frozen": []}}, "missing 'b'"),
        ({"payload": {"type": "Neuron", "config": {"n_in": 1}, "parameters": {"w[0]": 1.0, "b": "x"}, "frozen": []}},
         "'b'"),
    ],
    ids=lambda x: str(x)[:30],
)  # fmt: skip
def test_wrong_version_kind_or_contents(changes, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        ag.load(sealed(tmp_path / "f.json", **changes))


def test_kinds_are_not_mixed_up(tmp_path):
    path = tmp_path / "f.json"
    ag.save(ag.Neuron(1, seed=0), path)
    with pytest.raises(ValueError, match="expected a file of the kind 'checkpoint', this one is of the kind 'module'"):
        ag.fit(ag.MLP(1, [1]), [[1.0]], [1.0], resume=path)


HOSTILE = {
    "foreign": '{"weights": [1, 2, 3]}',
    "a list": "[1, 2]",
    "no JSON": "weights = 3",
    "binary": b"\x80\x04\x95\x1a\x00",
    "NaN": '{"format": "autograd_lite", "version": 1, "kind": "state", "payload": {"w": NaN}}',
    "Infinity": '{"format": "autograd_lite", "version": 1, "kind": "state", "payload": {"w": -Infinity}}',
    "1e999": '{"format": "autograd_lite", "version": 1, "kind": "state", "payload": {"w": 1e999}}',
    "twice": '{"format": "autograd_lite", "version": 1, "kind": "state", "payload": {"w": 1.0, "w": 2.0}}',
    "deep list": "[" * 100_000 + "]" * 100_000,
    "deep dict": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "deep inside": '{"format": "autograd_lite", "version": 1, "payload": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "open brackets": "[" * 1_000_000,
    "long integer": '{"format": "autograd_lite", "version": 1, "kind": "state", "payload": {"w": ' + "9" * 5000 + "}}",
    "longer integer": '{"w": ' + "9" * 3_000_000 + "}",
    "long float": '{"w": 0.' + "1" * 1_000_000 + "}",
    "brackets in strings": '{"w": "' + "[" * 1_000_000 + '"}',
    "quotes": '"' + '\\"' * 500_000,
    "open quotes": '"' * 1_000_001,
    "spaces": " " * 1_000_000,
}


SAYS = {
    "NaN": "NaN", "Infinity": "-Infinity", "1e999": "1e999 is too large", "twice": "'w' comes twice",
    "deep list": "nested", "deep dict": "nested", "long integer": "5000 digits", "foreign": "not of ours",
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_fault_30_what_no_file_of_ours_holds_is_refused_quickly(what, tmp_path):
    path = tmp_path / "f.json"
    text = HOSTILE[what]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    start = time.perf_counter()
    with pytest.raises(ValueError, match=r"f\.json.*" + SAYS.get(what, "")):
        ag.load(path)
    assert time.perf_counter() - start < 30  # about 0.1 s; what grows with the square would take an hour


def test_fault_31_a_file_runs_nothing_and_load_state_dict_takes_all_or_nothing(tmp_path):
    """No module is imported that a file names; an entry missing, too many, of another shape, not finite: refused."""
    names = ["antigravity", "os.system", "__import__", "builtins.eval", "this"]
    programs = [{"type": name, "config": {}, "parameters": {}, "frozen": []} for name in names]
    programs += [{"type": "Neuron", "config": {"n_in": 1, "activation": name},
                  "parameters": {"w[0]": 1.0, "b": 1.0}, "frozen": []} for name in names]  # fmt: skip
    paths = [str(sealed(tmp_path / f"{k}.json", payload=payload)) for k, payload in enumerate(programs)]
    run = subprocess.run([sys.executable, "-c", LOADS, *paths], capture_output=True, text=True, check=True)
    assert run.stdout == "refused\n" * len(paths) + "[]\n"
    model = ag.MLP(2, [2, 1], seed=0)
    before, name = model.state_dict(), "layers[0].neurons[0].b"
    for change, error in (
        (lambda s: s.pop(name), ValueError),
        (lambda s: s.update(more=1.0), ValueError),
        (lambda s: s.update({name: [1.0]}), TypeError),
        (lambda s: s.update({name: "1"}), TypeError),
        (lambda s: s.update({name: math.nan}), ValueError),
        (lambda s: s.update({name: -math.inf}), ValueError),
    ):
        state = {key: x + 1.0 for key, x in before.items()}
        change(state)
        with pytest.raises(error, match=r"load_state_dict.*('more'|layers\[0\])"):
            model.load_state_dict(state)
        assert model.state_dict() == before


LOADS = """
import sys
import autograd_lite as ag
import autograd_lite.files, numpy
before = set(sys.modules)
for path in sys.argv[1:]:
    try:
        ag.load(path)
    except ValueError:
        print("refused")
print(sorted(set(sys.modules) - before))
"""


# --- whole or not at all --------------------------------------------------------------------------------------


def test_a_save_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "state.json"
    ag.save({"n": 0.0}, path)
    for broken in ("fsync", "replace", "chmod"):
        with monkeypatch.context() as patch:

            def fail(*arguments, **more):
                raise KeyboardInterrupt

            patch.setattr(os, broken, fail)
            with pytest.raises(KeyboardInterrupt):
                ag.save({"n": 1.0}, path)
        assert ag.load(path) == {"n": 0.0}
        assert os.listdir(tmp_path) == ["state.json"]
    with pytest.raises(OSError, match="none"):
        ag.save({"n": 1.0}, tmp_path / "none" / "state.json")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows asks for a right to make links, and has other permissions")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "state.json", tmp_path / "link.json"
    ag.save({"n": 0.0}, path)
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o640)
    link.symlink_to(path)
    ag.save({"n": 1.0}, link)
    assert link.is_symlink()
    assert ag.load(path) == {"n": 1.0}
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no FIFOs")
def test_what_is_not_a_regular_file_is_refused_by_its_name(tmp_path):
    """A FIFO, a device, a file with another name: neither replaced nor read, and nothing waits."""
    fifo, link, twin, path = (tmp_path / name for name in ("fifo", "link", "twin", "state.json"))
    os.mkfifo(fifo)
    link.symlink_to(fifo)
    ag.save({"n": 1.0}, path)
    model = ag.MLP(1, [1], seed=0)
    for place, words in (
        (fifo, "is a FIFO"),
        (link, "is a FIFO"),
        ("/dev/zero", "is a device"),
        ("/dev/null", "device"),
    ):
        for act in (
            lambda place=place: ag.load(place),
            lambda place=place: ag.save({"n": 1.0}, place),
            lambda place=place: ag.fit(model, [[1.0]], [1.0], epochs=1, checkpoint=place),
            lambda place=place: ag.fit(model, [[1.0]], [1.0], epochs=1, resume=place),
        ):
            with pytest.raises(ValueError, match=f"{os.path.basename(place)}.*{words}.*not a regular file"):
                act()
    assert fifo.is_fifo()
    os.link(path, twin)
    with pytest.raises(OSError, match=r"state\.json' has 2 names \(hard links\)"):
        ag.save({"n": 2.0}, path)
    twin.unlink()
    ag.save({"n": 2.0}, path)
    assert ag.load(path) == {"n": 2.0}


def test_the_owner_of_a_file_is_kept_or_the_file_is(tmp_path, monkeypatch):
    path, asked = tmp_path / "state.json", []
    ag.save({"n": 1.0}, path)
    stat = os.stat(path)
    monkeypatch.setattr(atomic_write.Path, "stat", lambda self, **more: owned(os.stat(self, **more), self == path))

    def owned(found, by_another):
        return os.stat_result((*found[:4], found.st_uid + by_another, *found[5:]))

    monkeypatch.setattr(os, "chown", lambda *arguments: asked.append(arguments[1:]), raising=False)
    ag.save({"n": 2.0}, path)
    assert asked == [(stat.st_uid + 1, stat.st_gid)]

    def refused(*arguments):
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)
    with pytest.raises(PermissionError, match=r"state\.json' belongs to another user or group"):
        ag.save({"n": 3.0}, path)
    assert ag.load(path) == {"n": 2.0}
    assert os.listdir(tmp_path) == ["state.json"]


def test_reading_is_bounded_in_bytes_and_in_memory(tmp_path, monkeypatch):
    path = tmp_path / "f.json"
    size = 4_000_000
    path.write_text('{"format": "autograd_lite", "w": "' + "\\\\" * (size // 2) + '"}')
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"f\.json: the version"):
            ag.load(path)
        assert tracemalloc.get_traced_memory()[1] < 8 * size
    finally:
        tracemalloc.stop()
    ag.save({"w": 1.0}, path)
    monkeypatch.setattr(files, "MAX_BYTES", path.stat().st_size)
    assert ag.load(path) == {"w": 1.0}
    with pytest.raises(ValueError, match=r"load would refuse this.*more than 0 MB"):
        ag.save({"w": 1.0, "v": 1.0}, path)
    path.write_text(path.read_text() + " ")
    with pytest.raises(ValueError, match=r"f\.json: the file has more than 0 MB"):
        ag.load(path)


@pytest.mark.parametrize(
    ("text", "depth"),
    [
        ('{"a": "[[["}', 1),
        (r'{"\\": [1]}', 2),
        (r'{"\"[": 1}', 1),
        (r'["\\\"[", [1]]', 2),
        ('["[[', 1),
        (r'["\\"[[', 3),
    ],
)
def test_brackets_in_strings_do_not_nest(text, depth):
    assert files._depth(text) == depth


# --- state dicts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda s: s.pop("layers[0].neurons[0].b"), ValueError, "missing 'layers[0].neurons[0].b'"),
        (lambda s: s.update(more=1.0), ValueError, "unknown 'more'"),
        (lambda s: s.update({"layers[0].neurons[0].b": [1.0]}), TypeError, "layers[0].neurons[0].b"),
        (lambda s: s.update({"layers[1].neurons[0].b": "1"}), TypeError, "layers[1].neurons[0].b"),
        (lambda s: s.update({3: 1.0}), ValueError, "unknown 3"),
    ],
)
def test_load_state_dict_refuses_and_leaves_the_model_untouched(change, error, words):
    model = ag.MLP(2, [2, 1], seed=0)
    before = model.state_dict()
    state = {name: x + 1.0 for name, x in before.items()}
    change(state)
    with pytest.raises(error) as caught:
        model.load_state_dict(state)
    assert words in str(caught.value)
    assert model.state_dict() == before
    with pytest.raises(TypeError, match="dict"):
        model.load_state_dict([1.0])


def test_the_file_is_plain_json(saved):
    found = json.loads(saved.read_text())
    assert list(found) == ["format", "version", "kind", "payload", "checksum"]
    assert found["payload"]["parameters"] == {"w[0]": 1e-05, "w[1]": -2.5, "b": 12.0}
    assert found["payload"]["config"] == {"n_in": 2, "activation": "tanh"}


# --- file objects, bytes, parts of a state, and arrays -------------------------------------------------------------


def test_files_that_are_open_and_bytes(tmp_path):
    model = ag.MLP(2, [3, 1], seed=0)
    optimizer = ag.optim.Adam([{"params": model.weights(), "lr": 0.5}, {"params": model.biases()}], 0.1)
    for thing, same in (
        (model, lambda x: x.state_dict() == model.state_dict()),
        (optimizer, lambda x: x == optimizer.state_dict()),
        (model.state_dict(), lambda x: x == model.state_dict()),
    ):
        buffer, path = io.BytesIO(), tmp_path / "thing.json"
        ag.save(thing, buffer)
        ag.save(thing, path)
        assert buffer.getvalue() == path.read_bytes()
        buffer.seek(0)
        with open(path, "rb") as file:
            for given in (buffer, buffer.getvalue(), memoryview(path.read_bytes()), file, path):
                assert same(ag.load(given))
    with pytest.raises(ValueError, match="the bytes: the checksum does not fit"):
        ag.load(path.read_bytes().replace(b"0.", b"1.", 1))
    with open(path) as file, pytest.raises(TypeError, match="mode 'rb'"):
        ag.load(file)
    with pytest.raises(ValueError, match="the file is empty"):
        ag.load(io.BytesIO())


def test_a_part_of_a_state():
    small, large = ag.MLP(2, [3, 1], seed=0), ag.MLP(2, [3, 2], seed=1)
    before = large.state_dict()
    found = large.load_state_dict(small.state_dict(), strict=False)
    assert large.layers[0].state_dict() == small.layers[0].state_dict()
    assert found.unexpected_keys == []
    assert [name for name in before if name.startswith("layers[1].neurons[1]")] == found.missing_keys
    assert large.state_dict()["layers[1].neurons[1].b"] == before["layers[1].neurons[1].b"]
    assert small.load_state_dict(large.state_dict(), strict=False).unexpected_keys == found.missing_keys
    assert small.load_state_dict(small.state_dict()) == ([], [])
    with pytest.raises(TypeError, match="load_state_dict"):
        small.load_state_dict({"layers[0].neurons[0].b": "x"}, strict=False)


def test_arrays_and_back():
    class Odd(ag.Module):
        def __init__(self):
            self.grid = [[ag.Parameter(10.0 * i + j) for j in range(3)] for i in range(2)]
            self.ragged = [[ag.Parameter(1.0)], [ag.Parameter(2.0), ag.Parameter(3.0)]]
            self.cube = np.array([[[ag.Parameter(0.5)]]])
            self.one = ag.Parameter(7.0)
            self.net = ag.MLP(2, [3, 1], seed=0)

    model = Odd()
    arrays = model.arrays()
    assert arrays["grid"].tolist() == [[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]
    assert {name: x.shape for name, x in arrays.items() if not name.startswith("net")} == {
        "grid": (2, 3), "ragged[0][0]": (), "ragged[1][0]": (), "ragged[1][1]": (), "cube": (1, 1, 1), "one": (),
    }  # fmt: skip
    x = np.array([0.3, -0.2])
    hidden = np.maximum(arrays["net.layers[0].w"] @ x + arrays["net.layers[0].b"], 0.0)
    out = arrays["net.layers[1].w"] @ hidden + arrays["net.layers[1].b"]
    assert out == pytest.approx([model.net(x).item()])
    twin = Odd()
    twin.load_arrays({name: 2.0 * x for name, x in arrays.items()})
    assert list(twin.state_dict().values()) == [2.0 * x for x in model.state_dict().values()]
    before = twin.state_dict()
    for change, error, words in (
        ({"grid": np.zeros((3, 2))}, ValueError, r"'grid' has the shape \(3, 2\), the module needs \(2, 3\)"),
        ({"grid": np.full((2, 3), np.nan)}, ValueError, "not finite"),
        ({"grid": [["a"] * 3] * 2}, TypeError, "must hold real numbers"),
        ({"more": 1.0}, ValueError, "unknown 'more'"),
    ):
        with pytest.raises(error, match=words):
            twin.load_arrays(arrays | change)
    for wrong, error in (({}, ValueError), (3, TypeError)):
        with pytest.raises(error, match="load_arrays"):
            twin.load_arrays(wrong)
    assert twin.state_dict() == before
