"""A fuzzer of the loader: valid files, changed as text and as what they say, with checksums that fit and without.

    python -m tools.fuzz_loader --minutes 10

Whatever comes, a file is refused with a ValueError that names it, within a second, or it is exactly what `save`
writes for what it says. And what was loaded, `load_state_dict` and `fit(resume=)` take or refuse.
"""

import argparse
import hashlib
import json
import math
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

import autograd_lite as ag
from autograd_lite import files, optim

COUNTS = Counter()
SLOWEST = [0.0]


def trained(**settings):
    """A small training; its History is not needed."""
    model = ag.MLP(1, [1], seed=0)
    rule = lambda p: optim.SGD(p, 0.01, momentum=0.9)  # noqa: E731
    return ag.fit(model, [[0.5], [1.0]], [1.0, -1.0], optimizer=rule, seed=1, patience=3, progress=False, **settings)


def seeds(folder):
    """Valid files of every kind, as text."""
    path = folder / "seed.json"
    things = [
        ag.MLP(2, [2, 1], activation="tanh", seed=0),
        ag.Layer(1, 2, activation=None, seed=0),
        ag.Neuron(2, activation="gelu", seed=0),
        ag.Perceptron(2, init=1.0),
        ag.Network([(1, 3), (2, 3), (3, "out")], {3: "relu", "out": None}, bias=True, seed=0),
        optim.Adam([ag.Parameter(1.0), ag.Parameter(2.0)], 0.1),
        optim.RMSprop([ag.Parameter(1.0)], 0.1, momentum=0.5),
        {"slope": 0.1, "offset": -0.0, "table": [1.0, 5e-324]},
    ]
    things[0].parameters()[1].frozen = True
    texts = []
    for thing in things:
        ag.save(thing, path)
        texts.append(path.read_text(encoding="utf-8"))
    trained(epochs=2, checkpoint=path)
    return [*texts, path.read_text(encoding="utf-8")]


# --- changes ----------------------------------------------------------------------------------------------

SCALARS = [
    0, 1, -1, 2, 10**18, -(10**18), 10**39, 0.0, -0.0, 1.0, 0.5, 1e-5, 5e-324, 1.7976931348623157e308, True, False,
    None, "", "nan", "inf", "-inf", "relu", "softmax", "__import__", "os.system", "MLP", "Network", "SGD", "rule", "b",
    "w[0]", "\ud800", "\x00", "x" * 3000, [], {}, [[]], [0.5], {"a": 1.0}, [["1", "relu"]], [[1, 2]], math.pi,
]  # fmt: skip
TOKENS = [
    "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 60, "0" * 50, "1.50", "+1", "01", ".5", "1E5", "0x10",
    "true", "null", "[", "]", "{", "}", ",", ":", '"', "\\", " ", "\n", "\t", "\r", "\x00", "é", "[" * 40,
    "\\u0041", '"a": 1, "a": 2', "/*", "'",
]  # fmt: skip


def places(thing):
    """Every container in a document."""
    found, stack = [], [thing]
    while stack:
        thing = stack.pop()
        if isinstance(thing, (dict, list)):
            found.append(thing)
            stack.extend(thing.values() if isinstance(thing, dict) else thing)
    return found


def changed_content(draw, head):
    """Values replaced, dropped, doubled, renamed, moved, anywhere in a document."""
    for _ in range(draw(st.integers(1, 3))):
        inside = draw(st.sampled_from(places(head)))
        value = json.loads(json.dumps(draw(st.sampled_from(SCALARS))))
        if not inside:
            inside.update(a=value) if isinstance(inside, dict) else inside.append(value)
            continue
        key = draw(st.sampled_from(list(inside) if isinstance(inside, dict) else range(len(inside))))
        what = draw(st.sampled_from(["set", "set", "drop", "add", "rename", "like", "turn"]))
        if what == "set":
            inside[key] = value
        elif what == "drop":
            del inside[key]
        elif what == "like":  # a number of another type, or another number
            old = inside[key]
            number = isinstance(old, (int, float))
            inside[key] = (
                draw(st.sampled_from([int(old), float(old), bool(old), str(old), old + 1])) if number else [old]
            )
        elif isinstance(inside, list):
            inside.insert(key, value if what == "add" else inside[key])
        elif what == "add":
            inside[draw(st.sampled_from(["", "extra", "rule", "seed", "history", "init", "type", "pieces"]))] = value
        elif what == "rename":
            inside[draw(st.sampled_from(["b", "w", "kind", "x", "n_in", "rule"]))] = inside.pop(key)
        else:
            inside[key] = inside.pop(key)  # the same in another order
    return files._document(head)


def changed_text(draw, text):
    """Pieces of text put in, taken out, repeated, flipped."""
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(text))), draw(st.integers(0, 8))
        what = draw(st.sampled_from(["put", "cut", "repeat", "flip", "end"]))
        if what == "put":
            text = text[:at] + draw(st.sampled_from(TOKENS)) + text[at + length :]
        elif what == "cut":
            text = text[:at] + text[at + length :]
        elif what == "repeat":
            text = text[: at + length] + text[at:]
        elif what == "end":
            text = text[:at]
        elif at < len(text):
            text = text[:at] + chr(ord(text[at]) ^ 1 << draw(st.integers(0, 7))) + text[at + 1 :]
    return text


def resealed(text):
    """The text with a checksum of what now stands before it."""
    body = re.sub(r', "checksum": "[^"]*"}\n?$', "}", text)
    return f'{body[:-1]}, "checksum": "{hashlib.sha256(body.encode("utf-8", "replace")).hexdigest()}"}}\n'


def one_of(texts):
    @st.composite
    def changed(draw):
        text = draw(st.sampled_from(texts))
        how = draw(st.sampled_from(["content", "content", "text", "sealed text", "bytes"]))
        if how == "content":
            head = json.loads(text)
            del head["checksum"]
            return changed_content(draw, head).encode("utf-8", "replace")
        if how == "bytes":
            return draw(st.binary(max_size=200)) if draw(st.booleans()) else text.encode() + draw(st.binary(max_size=9))
        text = changed_text(draw, text)
        return (resealed(text) if how == "sealed text" else text).encode("utf-8", "replace")

    return changed()


# --- what must hold ---------------------------------------------------------------------------------------


def check(raw, folder):
    """Refused, or the same when it is saved again; and used without harm."""
    path, again = folder / "f.json", folder / "again.json"
    path.write_bytes(raw)
    start, refusal = time.perf_counter(), ""
    try:
        found = ag.load(path)
    except ValueError as error:
        refusal = str(error)
    SLOWEST[0] = max(SLOWEST[0], time.perf_counter() - start)
    assert SLOWEST[0] < 5.0  # 0.04 s, on a machine that has nothing else to do
    if refusal:
        assert "f.json" in refusal
        COUNTS["refused"] += 1
        return
    kind = json.loads(raw)["kind"]
    COUNTS[f"loaded, kind {kind}"] += 1
    if kind == "checkpoint":
        files.write(kind, found, again)
    else:
        ag.save(found, again)
    assert again.read_bytes() == raw, "loaded, but saved otherwise"
    if kind == "checkpoint":
        used(lambda: trained(epochs=2, resume=path))
    elif kind == "optimizer":
        for target in (optim.Adam([ag.Parameter(1.0), ag.Parameter(2.0)]),
                       optim.RMSprop([ag.Parameter(1.0)], momentum=0.5)):  # fmt: skip
            used(lambda target=target: target.load_state_dict(found))
            finite(target.state_dict())
    elif kind == "state":
        used(lambda: ag.Neuron(1, seed=0).load_state_dict(found))


def used(act):
    """Taken, or refused by a TypeError or a ValueError."""
    try:
        act()
        COUNTS["loaded"] += 1
    except (TypeError, ValueError):
        COUNTS["not loaded"] += 1


def finite(state):
    assert not re.search(r"\b(nan|inf)\b", repr(state))


def fuzz(folder, examples, number):
    """So many changed files."""
    texts = seeds(folder)

    @seed(number)
    @settings(max_examples=examples, database=None, deadline=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink])  # fmt: skip
    @given(one_of(texts))
    def run(raw):
        check(raw, folder)

    run()


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz_loader", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    end, number = time.monotonic() + 60.0 * parser.parse_args().minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end:
            number += 1
            fuzz(Path(folder), 2000, number)
    for what, count in COUNTS.most_common():
        print(f"{count:9,}  {what}")
    print(f"slowest: {SLOWEST[0]:.3f} s")


if __name__ == "__main__":
    main()
