"""Forward mode of a plan: tangents of lanes in many directions at once, as more instructions.

A tangent is kept for a lane and a direction only where it can be other than 0: an Entry each, the lanes of an
instruction. So the tangents of a banded function are as short as the band, and nothing needs colours: two columns that
a colouring would take together are in no lane both, and their entries are as many as those of the colour. What is 0
in all lanes of a direction is not computed at all.

The rule is that of reverse.py in the other direction: a tangent goes on times each partial that the row has. The
tangents of a loop are a loop that runs the same way, in which every step has the same entries.

Reverse mode in many directions is this too: adjoints are linear in those they start from, so that their tangents in
these are the rows of a Jacobian. A Hessian is the tangents of a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from autograd_lite.engine.lowering import rule_of
from autograd_lite.folding.instructions import Builder, Carry, Composite, Map, Part, Recurrent, Reduce, Ref, Sum
from autograd_lite.folding.loops import components, is_loop
from autograd_lite.folding.reverse import partial_in, partials_of_elements, sources, times_partial

Array = Any

_NONE: Array = np.zeros(0, np.int64)


class TooMany(Exception):
    """There are more entries than the caller wants."""


class Entries(NamedTuple):
    """Tangents of an instruction.

    Args:
        lanes, directions: of each which lane it is of, in which direction; sorted by both, each pair once.
        ref: the tangents.
    """

    lanes: Array
    directions: Array
    ref: Ref


class _Link(NamedTuple):
    """How lanes depend on those of another instruction: lane `to[i]` on `lanes[i]`, times factor * other[i].

    Args:
        source, lanes, to: both arrays have one length.
        factor: a number.
        other: a Ref of as many lanes; or which operand it is the partial in; or None for the factor alone.
        batched: whether a row of a batch has a share of its own in it.
    """

    source: int
    lanes: Any
    to: Any
    factor: float = 1.0
    other: Ref | int | None = None
    batched: bool = False

    def step(self, width: int, width_of_source: int) -> _Link:
        """What is left of it in any one step, each dependence once."""
        pairs = np.unique(self.lanes % width_of_source * width + self.to % width)
        return self._replace(lanes=pairs // width, to=pairs % width)


class Tangents:
    """Where the tangents of some instructions are, and on request the instructions that compute them.

    Args:
        builder: holds the instructions, and gets those of the tangents.
        seeds: for each instruction that has tangents from the start these.
        count: how many directions there are.
        wanted: the instructions asked for.
        most: how many terms there may be, in all instructions together.

    Attributes:
        cost: how many there are.

    Raises:
        TooMany: there are more.
    """

    def __init__(
        self, builder: Builder, seeds: Mapping[int, Entries], count: int, wanted: Iterable[int], most: float = np.inf
    ) -> None:
        self.builder, self.count = builder, count
        self.most: float = most
        self.instructions = builder.instructions[:]
        self.seeds = seeds
        self._keys: dict[int, Array] = {}
        """For each instruction lane * count + direction of its entries, sorted."""
        self._starts: dict[int, Array] = {}
        """For each instruction where the entries of each lane start, and the end."""
        self._links: dict[int, list[_Link]] = {}
        self._refs = {k: x.ref for k, x in seeds.items()}
        for k, x in seeds.items():
            self._enter(k, x.lanes * count + x.directions, self.instructions[k].size)
        self.cost: int = 0
        self._items: list[tuple[list[int], bool]] = []
        self._order(list(wanted))
        for item, loop in self._items:
            if loop:
                self._places_around(item)
            else:
                self._places(item[0])

    def places(self, k: int) -> tuple[Array, Array]:
        """The lanes and the directions of the tangents of an instruction."""
        keys: Any = self._keys.get(k, _NONE)
        return keys // self.count, keys % self.count

    def made(self, k: int) -> Ref | None:
        """The tangents of an instruction, in the order of `places`; None if there are none."""
        if self._items:
            self.most = np.inf
            for item, loop in self._items:
                if loop:
                    self._make_around(item)
                elif item[0] in self._keys:
                    self._refs[item[0]] = self._sum(item[0], self._links[item[0]])
            self._items = []
        return self._refs.get(k)

    def _order(self, wanted: list[int]) -> None:
        """What stands between the seeds and the wanted, in an order to go through it."""
        reads = [sources(x) for x in self.instructions]
        if any(isinstance(x, (Carry, Recurrent)) for x in self.instructions):
            items = [(item, is_loop(reads, item)) for item in components(reads, wanted)]
        else:
            needed = [False] * len(reads)
            for k in wanted:
                needed[k] = True
            for k in range(len(reads) - 1, -1, -1):
                for source in reads[k] if needed[k] else ():
                    needed[source] = True
            items = [([k], False) for k, is_needed in enumerate(needed) if is_needed]
        reached = set(self.seeds)
        for item, loop in items:
            if item[0] not in self.seeds and any(reads[k] & reached for k in item):
                reached.update(item)
                self._items.append((item, loop))

    # -- where they are

    def _enter(self, k: int, keys: Array, size: int) -> None:
        self._keys[k] = keys
        self._starts[k] = np.searchsorted(keys, np.arange(size + 1) * self.count)

    def _spread(self, link: _Link) -> tuple[Array, Array, Array]:
        """For each term of a link: which of its lanes, which entry of the source, and the key that it adds to."""
        starts = self._starts[link.source]
        first = starts[link.lanes]
        counts = starts[link.lanes + 1] - first
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        if self.cost + total > self.most:
            raise TooMany
        which = np.repeat(np.arange(len(counts)), counts)
        entry = np.arange(total) + np.repeat(first - ends + counts, counts)
        return which, entry, link.to[which] * self.count + self._keys[link.source][entry] % self.count

    def _together(self, links: Sequence[_Link], more: Array = _NONE) -> Array:
        """The keys of what some links add to, and more keys."""
        found = [x for x in (*(self._spread(link)[2] for link in links), more) if len(x)]
        if not found:
            return _NONE
        every = found[0] if len(found) == 1 else np.concatenate(found)
        self.cost += len(every)
        return every if (np.diff(every) > 0).all() else np.unique(every)

    def _places(self, k: int) -> None:
        """The entries of an instruction."""
        self._links[k] = [link for link in self._found(k) if link.source in self._keys]
        keys = self._together(self._links[k])
        if len(keys):
            self._enter(k, keys, self.instructions[k].size)

    def _places_around(self, members: list[int]) -> None:
        """The same in a loop, of one step for all: an entry that one step has is there in all of them."""
        steps = next(x.steps for k in members if isinstance(x := self.instructions[k], (Carry, Recurrent)))
        rows = {k: steps + (x.delay if isinstance(x := self.instructions[k], Carry) else 0) for k in members}
        width = {k: self.instructions[k].size // rows[k] for k in members}
        inside: dict[int, list[_Link]] = {}
        for k in members:
            links = self._links[k] = [x for x in self._found(k) if x.source in self._keys or x.source in rows]
            inside[k] = [x.step(width[k], width[x.source]) for x in links if x.source in rows]
            outside = self._together([x for x in links if x.source not in rows])
            self._keys[k] = np.unique(outside % (width[k] * self.count))
        for k in members:
            self._enter(k, self._keys[k], width[k])
        changed = True
        while changed:
            changed = False
            for k in members:
                x = self.instructions[k]
                both = (k, x.later.source) if isinstance(x, Carry) else (k,)  # what it hands on has the entries it has
                keys = np.union1d(self._together(inside[k]), np.concatenate([self._keys[i] for i in both]))
                for i in both:
                    if len(keys) > len(self._keys[i]):
                        changed = True
                        self._enter(i, keys, width[i])
        for k in members:
            keys = (np.arange(rows[k])[:, None] * (width[k] * self.count) + self._keys[k]).ravel()
            self.cost += len(keys) * len(self._links[k])
            if self.cost > self.most:
                raise TooMany
            self._enter(k, keys, self.instructions[k].size)
        for k in members:
            self._links[k] = [x for x in self._links[k] if len(self._keys[x.source])]
        for k in members:
            if not len(self._keys[k]):
                del self._keys[k]

    def _found(self, k: int) -> list[_Link]:
        """What the lanes of an instruction depend on."""
        x, lanes_of = self.instructions[k], self.builder.lanes_of
        found: list[_Link] = []
        if isinstance(x, Carry):
            first = x.delay * x.width
            found.append(_Link(x.initial.source, lanes_of(x.initial), np.arange(first)))
            found.append(_Link(x.later.source, lanes_of(x.later), np.arange(first, x.size)))
        elif isinstance(x, Sum):
            for part in x.parts:
                batched = self.builder.batched(part.left, part.right)
                for mine, other in ((part.left, part.right), (part.right, part.left)):
                    if mine is not None:
                        found.append(_Link(mine.source, lanes_of(mine), part.to, part.factor, other, batched))
        elif isinstance(x, (Reduce, Composite)):
            owner = np.repeat(np.arange(x.size), x.counts)
            found.append(_Link(x.elements.source, lanes_of(x.elements), owner, 1.0, 0))
        elif isinstance(x, Map) and not x.row.zero_gradient:
            for slot, operand in enumerate(x.args):
                if isinstance(operand, Ref) and not (isinstance(x.row.partials, str) and rule_of(x.row, slot) == 0.0):
                    found.append(_Link(operand.source, lanes_of(operand), np.arange(x.size), 1.0, slot))
        return found

    # -- what computes them

    def _sum(self, k: int, links: Iterable[_Link], batched: bool | None = None) -> Ref:
        """The tangents of an instruction, of all that these links add."""
        parts = [part for link in links for part in self._part(k, link)]
        if batched is None and self._adds_rows(k):
            batched = False
        return self.builder.sum(len(self._keys[k]), parts, batched)

    def _part(self, k: int, link: _Link) -> Iterable[Part]:
        """What a link adds to the tangents of an instruction; nothing where its partial is the number 0."""
        builder, x = self.builder, self.instructions[k]
        factor, other = link.factor, link.other
        if isinstance(other, int):
            if isinstance(x, Map):
                other = partial_in(builder, Ref(k, None), x, other)
            else:
                assert isinstance(x, (Reduce, Composite))
                other, _ = partials_of_elements(builder, Ref(k, None), x)
            if isinstance(other, float):
                factor, other = other, None
        which, entry, key = self._spread(link)
        if factor == 0.0 or not which.size:
            return
        to: Array = np.searchsorted(self._keys[k], key)
        tangent = builder.pick(self._refs[link.source], entry)
        part = Part("plain", factor, to, tangent, None)
        if other is not None:
            part = times_partial(builder, "mul", factor, to, tangent, builder.pick(other, which))
        if link.batched and self._adds_rows(k) and not builder.batched(part.left, part.right):
            left = builder.op("mul", len(to), (part.left, self._ones(len(to))))  # it is added once for each row
            part = part._replace(left=left)
        yield part

    def _adds_rows(self, k: int) -> bool:
        """Whether an instruction sums over the rows of a batch."""
        x = self.instructions[k]
        return isinstance(x, Sum) and not x.batched and self.builder.batched(*x.refs)

    def _ones(self, size: int) -> Ref:
        """1 in each row."""
        seed = self.builder.leaf("seed", 1, True)
        one = self.builder.op("add", 1, (self.builder.op("mul", 1, (seed, 0.0)), 1.0))
        return self.builder.pick(one, np.zeros(size, np.int64))

    def _make_around(self, members: list[int]) -> None:
        """The tangents of a loop: what comes from outside added up before it, for all steps at once."""
        builder, instructions = self.builder, self.instructions
        mine = [k for k in members if k in self._keys]
        if not mine:
            return
        inside = set(mine)
        before: dict[int, Ref] = {}
        for k in mine:
            links = [link for link in self._links[k] if link.source not in inside]
            if links and not isinstance(instructions[k], Carry):
                before[k] = self._sum(k, links)
        batched = any(instructions[k].batched for k in mine) or any(map(builder.batched, before.values()))
        made: dict[int, int] = {}
        for k in mine:
            x = instructions[k]
            if isinstance(x, (Carry, Recurrent)):
                own: dict[str, Any] = {"initial": self._initial(k, x)} if isinstance(x, Carry) else {"parts": ()}
                self._refs[k] = builder.add(replace(x, size=len(self._keys[k]), batched=batched, **own))
                made[k] = self._refs[k].source
        for k in sorted(mine, key=lambda k: (k in made, k)):  # a Recurrent may read all others
            x = instructions[k]
            if isinstance(x, Carry):
                continue
            parts = [part for link in self._links[k] if link.source in inside for part in self._part(k, link)]
            if k in before:
                parts.insert(0, Part("plain", 1.0, builder.index(np.arange(len(self._keys[k]))), before[k], None))
            if k in made:
                parts = [part._replace(to=builder.index(part.to)) for part in parts]
                empty = builder.instructions[made[k]]
                builder.instructions[made[k]] = replace(empty, parts=tuple(parts))  # type: ignore[call-arg]
            else:
                self._refs[k] = builder.sum(len(self._keys[k]), parts, batched)
        handed_on: set[int] = set()
        for k, number in made.items():
            before_it, x = instructions[k], builder.instructions[number]
            if isinstance(x, Carry) and isinstance(before_it, Carry):
                later = self._refs[before_it.later.source]
                if later.lanes is not None or later.source in handed_on or later.source in made.values():
                    whole = Part("plain", 1.0, builder.index(np.arange(x.size - x.delay * x.width)), later, None)
                    later = builder.add(Sum(len(whole.to), batched, (whole,)))
                handed_on.add(later.source)
                builder.instructions[number] = replace(x, later=later)

    def _initial(self, k: int, x: Carry) -> Ref:
        """The tangents of what a recurrence starts from."""
        width = len(self._keys[k]) // (x.delay + x.steps)
        size = x.delay * width
        parts = [part for link in self._links[k] if link.source == x.initial.source for part in self._part(k, link)]
        return self.builder.sum(size, [part for part in parts if len(part.to)], None)
