"""LLVM IR as text: vectors of 8 doubles (or 16 floats), one operation after the other.

    module = Module(DOUBLE)
    block = module.function("square", "ptr %x, ptr %y, i64 %n")

    def body(i, _):
        x = block.load(block.address("%x", (i, 1)), block.first_lanes(i, "%n"))
        block.store(x * x + 1.0, block.address("%y", (i, 1)), block.first_lanes(i, "%n"))
        return ()

    block.loop("%n", module.lanes, body)
    module.text()

Arithmetic is IEEE 754's, without fast-math flags: what stands here is what is computed, on every machine. A sum of
products that is meant to be fused says so with `fma`. What does not live here: llvmlite (this is text), loops over a
plan, elementary functions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

Scalar = str | int
"""A whole number: one that is known, or the name of an i64."""

OPERATIONS = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}
COMPARISONS = {"<": "olt", "<=": "ole", ">": "ogt", ">=": "oge", "==": "oeq", "unordered": "uno"}
INTRINSICS = ("sqrt", "fabs", "floor", "ceil", "rint")

PIECE = 300
"""Lines of IR in one function: the compiler's work grows faster than a function does (25 s at 1,500 steps)."""


@dataclass(frozen=True)
class Number:
    """A format of floating point numbers.

    Args:
        name: of its LLVM type.
        short: what the names of intrinsics call it.
        bits: of a number.
        mantissa: bits after the leading 1.
        lanes: of a vector of 64 bytes.
    """

    name: str
    short: str
    bits: int
    mantissa: int
    lanes: int

    @property
    def bias(self) -> int:
        """What the exponent field holds for 2**0."""
        return (1 << (self.bits - 2 - self.mantissa)) - 1

    @property
    def magic(self) -> float:
        """Added to a small whole number, it leaves that number in the low bits of the sum."""
        return 1.5 * 2.0**self.mantissa

    @property
    def smallest(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    def literal(self, x: float) -> str:
        """A constant; LLVM writes floats with the digits of a double, and wants one that is a float."""
        if self.bits == 32:
            x = struct.unpack("<f", struct.pack("<f", x))[0]
        return f"0x{struct.unpack('<Q', struct.pack('<d', x))[0]:016X}"


DOUBLE = Number("double", "f64", 64, 52, 8)
FLOAT = Number("float", "f32", 32, 23, 16)
NUMBERS = {number.name: number for number in (DOUBLE, FLOAT)}


class Vector:
    """An SSA value: lanes of reals, of whole numbers as wide as they are, or of truth values."""

    __slots__ = ("block", "kind", "lanes", "name")

    block: Block
    name: str
    kind: str
    lanes: int

    def __init__(self, block: Block, name: str, kind: str, lanes: int) -> None:
        self.block, self.name, self.kind, self.lanes = block, name, kind, lanes

    @property
    def type(self) -> str:
        """The LLVM type."""
        return self.block.module.type(self.kind, self.lanes)

    def __add__(self, other: Vector | float) -> Vector:
        return self.block.binary("add", self, other)

    def __radd__(self, other: float) -> Vector:
        return self.block.binary("add", other, self)

    def __sub__(self, other: Vector | float) -> Vector:
        return self.block.binary("sub", self, other)

    def __rsub__(self, other: float) -> Vector:
        return self.block.binary("sub", other, self)

    def __mul__(self, other: Vector | float) -> Vector:
        return self.block.binary("mul", self, other)

    def __rmul__(self, other: float) -> Vector:
        return self.block.binary("mul", other, self)

    def __truediv__(self, other: Vector | float) -> Vector:
        return self.block.binary("div", self, other)

    def __rtruediv__(self, other: float) -> Vector:
        return self.block.binary("div", other, self)

    def __neg__(self) -> Vector:
        return self.block.unary("neg", self)

    def __abs__(self) -> Vector:
        return self.block.unary("fabs", self)

    def __lt__(self, other: Vector | float) -> Vector:
        return self.block.compare("<", self, other)

    def __le__(self, other: Vector | float) -> Vector:
        return self.block.compare("<=", self, other)

    def __gt__(self, other: Vector | float) -> Vector:
        return self.block.compare(">", self, other)

    def __ge__(self, other: Vector | float) -> Vector:
        return self.block.compare(">=", self, other)

    def equals(self, other: Vector | float) -> Vector:
        """Where both are the same number (`==` stays identity, as for any object)."""
        return self.block.compare("==", self, other)

    def is_nan(self) -> Vector:
        """Where this is NaN."""
        return self.block.compare("unordered", self, self)

    def __and__(self, other: Vector | int) -> Vector:
        return self.block.bitwise("and", self, other)

    def __or__(self, other: Vector | int) -> Vector:
        return self.block.bitwise("or", self, other)

    def __xor__(self, other: Vector | int) -> Vector:
        return self.block.bitwise("xor", self, other)

    def __lshift__(self, n: int) -> Vector:
        return self.block.bitwise("shl", self, n)

    def __rshift__(self, n: int) -> Vector:
        return self.block.bitwise("lshr", self, n)

    def __invert__(self) -> Vector:
        return self.block.bitwise("xor", self, -1)


class Module:
    """A text of LLVM IR.

    Args:
        number: what the lanes are.
        lanes: how many there are in a vector; those of 64 bytes unless given.
        version: LLVM's major version, for the intrinsics that were spelled differently: a wrong spelling does not
            raise, it ends the process.
        avx512: whether the code is for machines with AVX-512, for what is one operation there and several elsewhere.

    In a debug build `checker` is the address of a function, which the code calls before it touches memory: with the
    address, the bytes of a lane, a bit for each lane that is touched, and whether it writes (tools/fuzz_native.py).
    """

    checker: int = 0

    number: Number
    lanes: int
    version: int
    avx512: bool

    def __init__(
        self, number: Number = DOUBLE, lanes: int | None = None, version: int = 22, avx512: bool = False
    ) -> None:
        self.number, self.lanes, self.version = number, lanes or number.lanes, version
        self.avx512 = avx512
        self.functions: dict[str, Block] = {}
        self.declarations: dict[str, str] = {}
        self.globals: dict[str, str] = {}

    def type(self, kind: str, lanes: int | None = None) -> str:
        """The LLVM type of a vector: of "real", "integer", "mask" or "index"."""
        element = {"real": self.number.name, "integer": f"i{self.number.bits}", "mask": "i1", "index": "i32"}[kind]
        return f"<{lanes or self.lanes} x {element}>"

    def function(self, name: str, parameters: str, internal: bool = False, lanes: int | None = None) -> Block:
        """A new function, to be filled; with vectors of other lanes than the module's: of 1, to compute numbers."""
        block = Block(self, name, parameters, internal, lanes or self.lanes)
        self.functions[name] = block
        return block

    def outlined(self, name: str, build: Callable[..., Sequence[Vector]], n: int, lanes: int) -> Block:
        """The function `name` of n vectors that `build` writes, written when it is first asked for."""
        name = name if lanes == self.lanes else f"{name}.{lanes}"
        if name not in self.functions:
            real = self.type("real", lanes)
            block = self.function(name, ", ".join(f"{real} %a{i}" for i in range(n)), internal=True, lanes=lanes)
            block.returned = list(build(*(block.vector(f"%a{i}") for i in range(n))))
        return self.functions[name]

    def sequence(self, name: str, parameters: str, steps: Iterable[Callable[[Block], None]], most: int = PIECE) -> None:
        """A function that does steps one after the other, cut into functions of about `most` lines.

        A step takes what it needs from memory and leaves its results there: no vector is handed on.
        """
        whole = self.function(name, parameters)
        piece: Block | None = None
        for step in steps:
            if piece is None or len(piece.lines) > most:
                part = f"{name}.{len(self.functions)}"
                piece = self.function(part, parameters, internal=True)
                whole.lines.append(f"  call void @{part}({parameters})")
            step(piece)

    def close(self) -> str:
        """The text, and the end of writing: blocks and module no longer refer to each other."""
        text = self.text()
        for block in self.functions.values():
            block.returned.clear()
        self.functions.clear()
        return text

    def text(self) -> str:
        """The module."""
        functions = [block.text() for block in self.functions.values()]
        return "\n".join([*self.globals.values(), *self.declarations.values(), *functions])


class Block:
    """A function of a module, written from its first line to its last.

    Args:
        module: what it belongs to.
        name: of the function.
        parameters: as LLVM writes them: "ptr %x, i64 %n".
        internal: not called from outside.
        lanes: of its vectors.
    """

    module: Module
    name: str
    parameters: str
    internal: bool
    number: Number
    lanes: int
    label: str
    count: int

    def __init__(self, module: Module, name: str, parameters: str, internal: bool, lanes: int) -> None:
        self.module, self.name, self.parameters, self.internal = module, name, parameters, internal
        self.number, self.lanes = module.number, lanes
        self.lines: list[str] = []
        self.known: dict[str, str] = {}  # text of a pure operation -> its name, while it dominates what is written
        self.label, self.count = "entry", 0
        self.returned: list[Vector] = []

    @property
    def result(self) -> str:
        """LLVM's type of what the function returns."""
        return f"{{{', '.join(x.type for x in self.returned)}}}" if self.returned else "void"

    def text(self) -> str:
        """The function. Wide vectors are asked for: LLVM halves them on some machines that have them."""
        before, after = ("internal ", "noinline ") if self.internal else ("", "")
        wide = '"prefer-vector-width"="512" "min-legal-vector-width"="512"'
        head = f"define {before}{self.result} @{self.name}({self.parameters}) {after}nounwind {wide} {{"
        lines = [head, "entry:", *self.lines]
        whole = "poison"
        for i, x in enumerate(self.returned):
            lines.append(f"  %returned{i} = insertvalue {self.result} {whole}, {x.type} {x.name}, {i}")
            whole = f"%returned{i}"
        return "\n".join([*lines, f"  ret {self.result} {whole}" if self.returned else "  ret void", "}\n"])

    # --- single operations ------------------------------------------------------------------------

    def type(self, kind: str) -> str:
        """The LLVM type of its vectors."""
        return self.module.type(kind, self.lanes)

    def fresh(self) -> str:
        """A name that is not used yet."""
        self.count += 1
        return f"%v{self.count}"

    def operation(self, text: str, pure: bool = True) -> str:
        """The name of what an instruction gives; a pure one is written once."""
        if pure and text in self.known:
            return self.known[text]
        name = self.fresh()
        self.lines.append(f"  {name} = {text}")
        if pure:
            self.known[text] = name
        return name

    def made(self, text: str, kind: str = "real", lanes: int | None = None, pure: bool = True) -> Vector:
        """An instruction that gives a vector."""
        return Vector(self, self.operation(text, pure), kind, lanes or self.lanes)

    def vector(self, name: str, kind: str = "real") -> Vector:
        """A vector that has a name already: a parameter."""
        return Vector(self, name, kind, self.lanes)

    def splat(self, x: Vector | float, kind: str = "real") -> str:
        """What an instruction writes for an operand: a name, or the same constant in every lane."""
        if isinstance(x, Vector):
            assert x.block is self, f"a vector of {x.block.name} used in {self.name}"
            assert x.kind == kind, f"{x.kind} used for {kind}"
            return x.name
        if kind == "real":
            return f"splat ({self.number.name} {self.number.literal(x)})"
        if kind == "mask":
            return f"splat (i1 {'true' if x else 'false'})"
        return f"splat (i{self.number.bits} {int(x)})"

    def constant(self, x: float) -> Vector:
        """A number in every lane."""
        return Vector(self, self.splat(x), "real", self.lanes)

    def whole(self, x: Vector | float) -> Vector:
        """A vector, of a number too."""
        return x if isinstance(x, Vector) else self.constant(x)

    def binary(self, name: str, a: Vector | float, b: Vector | float) -> Vector:
        """add, sub, mul or div."""
        lanes = _lanes(a, b)
        real = self.module.type("real", lanes)
        return self.made(f"{OPERATIONS[name]} {real} {self.splat(a)}, {self.splat(b)}", lanes=lanes)

    def unary(self, name: str, a: Vector) -> Vector:
        """neg, or one of INTRINSICS."""
        if name == "neg":
            return self.made(f"fneg {a.type} {self.splat(a)}", lanes=a.lanes)
        return self.intrinsic(name, a)

    def intrinsic(self, name: str, *operands: Vector | float) -> Vector:
        """An intrinsic of reals of one type."""
        lanes = _lanes(*operands)
        real = self.module.type("real", lanes)
        full = f"@llvm.{name}.v{lanes}{self.number.short}"
        self.module.declarations[full] = f"declare {real} {full}({', '.join([real] * len(operands))})"
        return self.made(f"call {real} {full}({', '.join(f'{real} {self.splat(x)}' for x in operands)})", lanes=lanes)

    def fma(self, a: Vector | float, b: Vector | float, c: Vector | float) -> Vector:
        """a * b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def copysign(self, a: Vector | float, b: Vector) -> Vector:
        """The size of a with the sign of b."""
        return self.intrinsic("copysign", a, b)

    def compare(self, name: str, a: Vector | float, b: Vector | float) -> Vector:
        """A mask; a comparison with NaN does not hold."""
        lanes = _lanes(a, b)
        text = f"fcmp {COMPARISONS[name]} {self.module.type('real', lanes)} {self.splat(a)}, {self.splat(b)}"
        return self.made(text, "mask", lanes)

    def select(self, mask: Vector, a: Vector | float, b: Vector | float) -> Vector:
        """a where the mask holds, b elsewhere. Both are computed."""
        lanes = mask.lanes
        kind = next((x.kind for x in (a, b) if isinstance(x, Vector)), "real")
        of = self.module.type(kind, lanes)
        text = f"select {mask.type} {self.splat(mask, 'mask')}, {of} {self.splat(a, kind)}, {of} {self.splat(b, kind)}"
        return self.made(text, kind, lanes)

    def bitwise(self, name: str, a: Vector, b: Vector | int) -> Vector:
        """and, or, xor, shl, lshr; also add and sub of whole numbers."""
        return self.made(f"{name} {a.type} {a.name}, {self.splat(b, a.kind)}", a.kind, a.lanes)

    def bits(self, a: Vector) -> Vector:
        """The bits of reals as whole numbers."""
        return self.made(f"bitcast {a.type} {a.name} to {self.module.type('integer', a.lanes)}", "integer", a.lanes)

    def real(self, a: Vector) -> Vector:
        """The reals that have these bits."""
        return self.made(f"bitcast {a.type} {a.name} to {self.module.type('real', a.lanes)}", "real", a.lanes)

    def scaled(self, a: Vector, k: Vector) -> Vector | None:
        """a * 2**k for whole k, rounded once, where that is one operation; else None."""
        if not self.module.avx512 or a.lanes * self.number.bits != 512:
            return None
        name, masks = f"@llvm.x86.avx512.mask.scalef.p{self.number.name[0].replace('f', 's')}.512", f"i{a.lanes}"
        self.module.declarations[name] = f"declare {a.type} {name}({a.type}, {a.type}, {a.type}, {masks}, i32)"
        given = f"{a.type} {a.name}, {a.type} {k.name}, {a.type} zeroinitializer, {masks} -1, i32 4"
        return self.made(f"call {a.type} {name}({given})")

    def calls(self, name: str, build: Callable[..., Sequence[Vector]], *operands: Vector | float) -> list[Vector]:
        """What a function returns that `build` writes once a module: for code that is large and used often."""
        real, called = self.type("real"), self.module.outlined(name, build, len(operands), self.lanes)
        given = ", ".join(f"{real} {self.splat(x)}" for x in operands)
        found = self.operation(f"call {called.result} @{called.name}({given})")
        return [self.made(f"extractvalue {called.result} {found}, {i}", x.kind) for i, x in enumerate(called.returned)]

    def call(self, name: str, build: Callable[..., Vector], *operands: Vector | float) -> Vector:
        """The same for one result."""
        return self.calls(name, lambda *xs: [build(*xs)], *operands)[0]

    # --- memory -----------------------------------------------------------------------------------

    def address(self, base: str, *terms: tuple[Scalar, int], of: str = "") -> str:
        """base + the sum of index times stride, in elements; `of` another type than the module's numbers."""
        offset, element = self.offset(*terms), of or self.number.name
        return base if offset == 0 else self.operation(f"getelementptr {element}, ptr {base}, i64 {offset}")

    def offset(self, *terms: tuple[Scalar, int]) -> Scalar:
        """The sum of index times stride."""
        known, name = 0, ""
        for index, stride in terms:
            if isinstance(index, int):
                known += index * stride
            elif stride:
                term = index if stride == 1 else self.operation(f"mul i64 {index}, {stride}")
                name = self.operation(f"add i64 {name}, {term}") if name else term
        if not name:
            return known
        return self.operation(f"add i64 {name}, {known}") if known else name

    def check(
        self, pointer: str, lanes: int = 1, mask: Vector | None = None, of: int = 0, writes: bool = False
    ) -> None:
        """In a debug build: have it checked that these lanes, `of` bits each, may be touched."""
        if not self.module.checker:
            return
        touched: str | int = (1 << lanes) - 1
        if mask is not None:
            touched = self.operation(f"bitcast {mask.type} {mask.name} to i{lanes}")
            touched = self.operation(f"zext i{lanes} {touched} to i64")
        function, size = f"inttoptr (i64 {self.module.checker} to ptr)", (of or self.number.bits) // 8
        self.lines.append(f"  call void {function}(ptr {pointer}, i64 {size}, i64 {touched}, i64 {int(writes)})")

    def load(self, pointer: str, mask: Vector | None = None) -> Vector:
        """The lanes from an address on; 0, and memory untouched, where a mask does not hold."""
        self.check(pointer, self.lanes, mask)
        if mask is not None:
            return self._masked("load", pointer, mask)
        return self.made(f"load {self.type('real')}, ptr {pointer}, align {self.number.bits // 8}", pure=False)

    def store(self, x: Vector | float, pointer: str, mask: Vector | None = None) -> None:
        """Lanes to an address on; only those where the mask holds."""
        self.check(pointer, self.lanes, mask, writes=True)
        if mask is not None:
            self._masked("store", pointer, mask, x)
        else:
            real, align = self.type("real"), self.number.bits // 8
            self.lines.append(f"  store {real} {self.splat(x)}, ptr {pointer}, align {align}")

    def gather(self, base: str, index: Vector, mask: Vector | None = None) -> Vector:
        """The elements at base + index, for an index vector (load_index); 0 where the mask does not hold."""
        return self._masked("gather", self._pointers(base, index, mask, False), mask)

    def scatter(self, x: Vector | float, base: str, index: Vector, mask: Vector | None = None) -> None:
        """Lanes to base + index, in the order of the lanes."""
        self._masked("scatter", self._pointers(base, index, mask, True), mask, x)

    def load_index(self, pointer: str) -> Vector:
        """Entries of a table of int32, which hold a place for each lane."""
        self.check(pointer, self.lanes, of=32)
        return self.made(f"load {self.type('index')}, ptr {pointer}, align 4", "index", pure=False)

    def load_place(self, pointer: str) -> str:
        """One entry of a table of int32, as i64."""
        self.check(pointer, of=32)
        return self.operation(f"sext i32 {self.operation(f'load i32, ptr {pointer}, align 4', False)} to i64")

    def load_one(self, pointer: str) -> Vector:
        """The number at an address, in every lane."""
        self.check(pointer)
        element, align = self.number.name, self.number.bits // 8
        return self.spread(self.operation(f"load {element}, ptr {pointer}, align {align}", pure=False))

    def spread(self, scalar: str) -> Vector:
        """A scalar in every lane."""
        real = self.type("real")
        first = self.operation(f"insertelement {real} poison, {self.number.name} {scalar}, i64 0")
        return self.made(f"shufflevector {real} {first}, {real} poison, <{self.lanes} x i32> zeroinitializer")

    def store_one(self, scalar: str, pointer: str) -> None:
        """A scalar to an address."""
        self.check(pointer, writes=True)
        self.lines.append(f"  store {self.number.name} {scalar}, ptr {pointer}, align {self.number.bits // 8}")

    def _pointers(self, base: str, index: Vector, mask: Vector | None, writes: bool) -> str:
        found = self.operation(f"getelementptr {self.number.name}, ptr {base}, {index.type} {index.name}")
        for lane in range(self.lanes if self.module.checker else 0):
            pointer = self.operation(f"extractelement <{self.lanes} x ptr> {found}, i64 {lane}")
            holds = None
            if mask is not None:
                bit = self.operation(f"extractelement {mask.type} {mask.name}, i64 {lane}")
                holds = self.made(f"insertelement <1 x i1> poison, i1 {bit}, i64 0", "mask", 1)
            self.check(pointer, 1, holds, writes=writes)
        return found

    def _masked(self, name: str, pointer: str, mask: Vector | None, stored: Vector | float | None = None) -> Vector:
        """A masked load or store, gather or scatter.

        Until LLVM 21 the alignment was an operand, since then it is an attribute of the pointer.
        """
        real, masks = self.type("real"), self.type("mask")
        many = name in ("gather", "scatter")
        of, align = f"<{self.lanes} x ptr>" if many else "ptr", self.number.bits // 8
        if self.module.version >= 22:
            place, types = f"{of} align {align} {pointer}", f"{of}, {masks}"
        else:
            place, types = f"{of} {pointer}, i32 {align}", f"{of}, i32, {masks}"
        place += f", {masks} {'splat (i1 true)' if mask is None else self.splat(mask, 'mask')}"
        full = f"@llvm.masked.{name}.v{self.lanes}{self.number.short}.{f'v{self.lanes}' if many else ''}p0"
        if stored is None:
            self.module.declarations[full] = f"declare {real} {full}({types}, {real})"
            return self.made(f"call {real} {full}({place}, {real} zeroinitializer)", pure=False)
        self.module.declarations[full] = f"declare void {full}({real}, {types})"
        self.lines.append(f"  call void {full}({real} {self.splat(stored)}, {place})")
        return self.vector("poison")

    # --- across lanes -----------------------------------------------------------------------------

    def first_lanes(self, i: Scalar, n: Scalar) -> Vector:
        """The mask of the lanes l with i + l < n."""
        numbers = range(self.lanes)
        if isinstance(i, int) and isinstance(n, int):
            lanes = ", ".join(f"i1 {'true' if i + lane < n else 'false'}" for lane in numbers)
            return self.vector(f"<{lanes}>", "mask")
        wide = f"<{self.lanes} x i64>"
        first = self.operation(f"insertelement {wide} poison, i64 {self.operation(f'sub i64 {n}, {i}')}, i64 0")
        left = self.operation(f"shufflevector {wide} {first}, {wide} poison, <{self.lanes} x i32> zeroinitializer")
        return self.made(f"icmp sgt {wide} {left}, <{', '.join(f'i64 {lane}' for lane in numbers)}>", "mask")

    def shuffle(self, a: Vector, b: Vector, lanes: Sequence[int]) -> Vector:
        """Lanes of a, and behind them of b, by number."""
        chosen = f"<{len(lanes)} x i32> <{', '.join(f'i32 {lane}' for lane in lanes)}>"
        return self.made(f"shufflevector {a.type} {a.name}, {b.type} {b.name}, {chosen}", a.kind, len(lanes))

    def reduce(self, combine: Callable[[Vector, Vector], Vector], a: Vector) -> str:
        """One scalar from all lanes, by halves: lane l with l + 4, then with l + 2, then with l + 1.

        Written out, so that the order is the same on every machine.
        """
        while a.lanes > 1:
            half = a.lanes // 2
            a = combine(self.shuffle(a, a, range(half)), self.shuffle(a, a, range(half, 2 * half)))
        return self.operation(f"extractelement {a.type} {a.name}, i64 0")

    def sum(self, a: Vector) -> str:
        """The sum of all lanes, as a scalar."""
        return self.reduce(lambda x, y: x + y, a)

    def transpose(self, rows: Sequence[Vector]) -> list[Vector]:
        """As many vectors as there are lanes, rows for columns."""
        rows, n = list(rows), self.lanes
        distance = n // 2
        while distance:
            for i in range(n):
                if i & distance:
                    continue
                a, b = rows[i], rows[i + distance]
                rows[i] = self.shuffle(a, b, [l if not l & distance else n + l - distance for l in range(n)])  # noqa: E741
                rows[i + distance] = self.shuffle(a, b, [l + distance if not l & distance else n + l for l in range(n)])  # noqa: E741
            distance //= 2
        return rows

    # --- control ----------------------------------------------------------------------------------

    def _open(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.label = label

    def loop(
        self,
        n: Scalar,
        step: int,
        body: Callable[[Scalar, list[Vector]], Sequence[Vector]],
        carried: Sequence[Vector] = (),
        start: int = 0,
        perhaps: bool = False,
    ) -> list[Vector]:
        """body(i, carried) -> carried for i = start, start + step ... below n; what is carried at the end.

        n is at least start + 1 where it is not known, unless it is a loop that perhaps makes no trip. One trip is
        written without a loop, unless perhaps at another length there are more.
        """
        if isinstance(n, int) and not perhaps:
            if n <= start:
                return list(carried)
            if n - start <= step:
                return list(body(start, list(carried)))
        outside = dict(self.known)  # what the body finds does not dominate what follows
        head, done, before = self.fresh()[1:], self.fresh()[1:], self.label
        i, following = self.fresh(), self.fresh()
        inside = [Vector(self, self.fresh(), x.kind, x.lanes) for x in carried]
        if perhaps:
            some = self.operation(f"icmp slt i64 {start}, {n}", pure=False)
            self.lines.append(f"  br i1 {some}, label %{head}, label %{done}")
        else:
            self.lines.append(f"  br label %{head}")
        self._open(head)
        place = len(self.lines)
        left = body(i, inside)
        self.lines[place:place] = [f"  {i} = phi i64 [{start}, %{before}], [{following}, %{self.label}]"] + [
            f"  {x.name} = phi {x.type} [{first.name}, %{before}], [{then.name}, %{self.label}]"
            for x, first, then in zip(inside, carried, left, strict=True)
        ]
        more = self.fresh()
        self.lines += [
            f"  {following} = add i64 {i}, {step}",
            f"  {more} = icmp slt i64 {following}, {n}",
            f"  br i1 {more}, label %{head}, label %{done}",
        ]
        last = self.label
        self._open(done)
        self.known = outside
        if not perhaps:
            return list(left)
        return [
            self.made(f"phi {x.type} [{first.name}, %{before}], [{then.name}, %{last}]", x.kind, x.lanes, pure=False)
            for x, first, then in zip(inside, carried, left, strict=True)
        ]

    def when(self, condition: str, body: Callable[[], object]) -> None:
        """What body writes, done if an i1 holds: code that leaves its results in memory."""
        outside, then, done = dict(self.known), self.fresh()[1:], self.fresh()[1:]
        self.lines.append(f"  br i1 {condition}, label %{then}, label %{done}")
        self._open(then)
        body()
        self.lines.append(f"  br label %{done}")
        self._open(done)
        self.known = outside

    def rarely(self, mask: Vector, body: Callable[[], Sequence[Vector]], otherwise: Sequence[Vector]) -> list[Vector]:
        """What body gives if the mask holds in any lane, else `otherwise`: code that is skipped as a whole."""
        whole = f"i{mask.lanes}"
        any_lane = self.operation(f"icmp ne {whole} {self.operation(f'bitcast {mask.type} {mask.name} to {whole}')}, 0")
        outside, before = dict(self.known), self.label
        then, done = self.fresh()[1:], self.fresh()[1:]
        self.lines.append(f"  br i1 {any_lane}, label %{then}, label %{done}")
        self._open(then)
        found, after = body(), self.label
        self.lines.append(f"  br label %{done}")
        self._open(done)
        self.known = outside
        return [
            self.made(f"phi {x.type} [{x.name}, %{after}], [{y.name}, %{before}]", x.kind, x.lanes, pure=False)
            for x, y in zip(found, otherwise, strict=True)
        ]


def _lanes(*operands: Vector | float) -> int:
    return next(x.lanes for x in operands if isinstance(x, Vector))
