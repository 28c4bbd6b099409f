"""Formulas as a slide writes them: names with subscripts, x², 2·x, −1; as plain text, and in LaTeX.

A Term is text that knows how tightly it binds. Rules are evaluated on Terms as they are on floats: the text of a rule
is the derivative, so its formula is that text with Terms for the operands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite, isnan
from typing import Any

from autograd_lite.engine.checks import describe, whole
from autograd_lite.engine.graph import raw_operands
from autograd_lite.engine.notation import DIFFERENCES, printable
from autograd_lite.engine.value import Value

# --- names ---------------------------------------------------------------------------------------------------

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η", "theta": "θ",
    "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ",
    "tau": "τ", "upsilon": "υ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ",
    "Theta": "Θ", "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Phi": "Φ", "Psi": "Ψ", "Omega": "Ω",
}  # fmt: skip

LETTERS = {letter: name for name, letter in GREEK.items()}

SUBSCRIPTS = str.maketrans("0123456789aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ")
SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")

ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303"}

_NAME = re.compile(
    r"(?P<base>\\?[A-Za-z]+|[Α-Ωα-ω])(?:_\{?(?P<sub>[0-9]+(?:,[0-9]+)*|[a-z]+)\}?|(?P<places>(?:\[\d+\])+)|(?P<number>\d+))?"
)


@lru_cache(maxsize=4096)
def parted(name: str) -> tuple[str, str, str] | None:
    """The letter or word, the subscript and the accent of a name; None for a name that is not mathematics.

    Example:
        >>> from autograd_lite.pictures.mathematics import parted
        >>> parted("w[0][1]"), parted("theta_12"), parted("y_hat"), parted("learning_rate")
        (('w', '01', ''), ('theta', '12', ''), ('y', '', 'hat'), None)
    """
    text = name[1:-1] if len(name) > 2 and name[0] == name[-1] == "$" else name
    found = _NAME.fullmatch(text)
    if found is None or len(text) > 40:
        return None
    base = found["base"].lstrip("\\")
    base = LETTERS.get(base, base)
    if found["base"][0] == "\\" and base not in GREEK:
        return None
    letter = len(base) == 1 or base in GREEK
    sub, accent = found["sub"] or "", ""
    if found["places"]:
        places = re.findall(r"\d+", found["places"])
        sub = ("" if all(len(place) == 1 for place in places) else ",").join(places)
    elif found["number"]:
        if not letter or base == "v":  # v3 is the third value of the listing
            return None
        sub = found["number"]
    elif sub in ACCENTS and letter:
        sub, accent = "", sub
    elif sub.isalpha() and len(sub) > (2 if letter else 1):  # a word of the program, as in learning_rate
        return None
    return base, sub, accent


def in_letters(name: str) -> str:
    """A name with Greek letters, subscripts and accents.

    Example:
        >>> from autograd_lite.pictures.mathematics import in_letters
        >>> [in_letters(name) for name in ("w_12", "w[0]", "alpha", "$w_{12}$", "y_hat", "max_iter")]
        ['w₁₂', 'w₀', 'α', 'w₁₂', 'ŷ', 'max_iter']
    """
    parts = parted(name)
    if parts is None:
        return name
    base, sub, accent = parts
    letter = GREEK.get(base, base)
    if accent:
        joined = unicodedata.normalize("NFC", letter + ACCENTS[accent])
        return joined if len(joined) == 1 else f"{letter}_{accent}"
    small = sub.translate(SUBSCRIPTS)
    return letter + small if not re.search("[a-z]", small) else f"{letter}_{sub}"


_SPECIAL = {"\\": r"\textbackslash{}", "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}",
            ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}", "`": r"{\char96}"}  # fmt: skip

_MATHS = {
    "−": "$-$", "×": r"$\times$", "·": r"$\cdot$", "…": r"\dots{}", "→": r"$\to$", "∞": r"$\infty$",
    "▸": r"$\triangleright$", "≥": r"$\ge$", "≤": r"$\le$", "≠": r"$\ne$", "√": r"$\surd$", "∂": r"$\partial$",
    "‖": r"$\|$", "ⁿ": "$^{n}$",
}  # fmt: skip
_LOW = {chr(low): chr(high) for high, low in SUBSCRIPTS.items()}
_HIGH = {chr(low): chr(high) for high, low in SUPERSCRIPTS.items()}


def escaped(text: str) -> str:
    """Any text as LaTeX text that means those characters and nothing else.

    A backslash, braces, dollars and percent signs are spelled out, control characters are dropped, so that a name such
    as `}\\input{/etc/passwd}` is printed and not run.
    """
    found = []
    for c in text:
        if c in _SPECIAL:
            found.append(_SPECIAL[c])
        elif c in "{}$&#_%":
            found.append("\\" + c)
        elif c in _MATHS:
            found.append(_MATHS[c])
        elif c in LETTERS:
            found.append(_greek(LETTERS[c]))
        elif c in _LOW:
            found.append(f"$_{{{_LOW[c]}}}$")
        elif c in _HIGH:
            found.append(f"$^{{{_HIGH[c]}}}$")
        elif c.isprintable():
            found.append("{[}" if c == "[" else "{]}" if c == "]" else c)
    return "".join(found)


def _greek(name: str) -> str:
    return "o" if name == "omicron" else rf"$\{name}$"


def in_latex(name: str) -> str:
    """A name in LaTeX's mathematics: `w_{12}`, `\\alpha`, `\\mathrm{loss}`."""
    parts = parted(name)
    if parts is None and re.fullmatch(r"v\d+", name):
        parts = "v", name[1:], ""
    if parts is None:
        return rf"\text{{{escaped(name)}}}"
    base, sub, accent = parts
    letter = rf"\{base}" if base in GREEK else base if len(base) == 1 else rf"\mathrm{{{base}}}"
    letter = rf"\{accent}{{{letter}}}" if accent else letter
    return f"{letter}_{{{sub}}}" if sub else letter


def named_values(names: Any, who: str) -> dict[int, str]:
    """Names for Values from a dict such as `locals()`, by id; elements of its lists and tuples as `w[0]`.

    Raises:
        TypeError: names is not a dict.
    """
    if names is None:
        return {}
    if not isinstance(names, Mapping):
        raise TypeError(f"{who}: names must be a dict of names and Values, such as locals(), got {describe(names)}")
    found: dict[int, str] = {}
    lists: list[tuple[str, Any]] = []
    for name, x in list(names.items()):
        if not isinstance(name, str) or name.startswith("_") or name in ("In", "Out"):  # an interactive session's own
            continue
        if isinstance(x, Value):
            found.setdefault(id(x), name)
        elif isinstance(x, (list, tuple)) or getattr(getattr(x, "dtype", None), "kind", "") == "O":
            lists.append((name, x))
    left = MOST_NAMED
    for name, xs in lists:  # which grows meanwhile
        for i, x in enumerate(xs[: max(left, 0)]):
            left -= 1
            if isinstance(x, Value):
                found.setdefault(id(x), f"{name}[{i}]")
            elif name.count("[") < 2 and (isinstance(x, (list, tuple)) or getattr(x, "ndim", None)):
                lists.append((f"{name}[{i}]", x))
    return found


MOST_NAMED = 20_000
"""Elements of lists that are looked at for names."""


# --- terms ---------------------------------------------------------------------------------------------------

SUM, PRODUCT, POWER, ATOM = range(4)
"""How tightly a term binds."""


@dataclass(frozen=True)
class Language:
    """How terms are written: plain text, or LaTeX.

    Args:
        tex: whether it is LaTeX.
        folds: whether arithmetic with numbers is carried out, 2 - 1 as 1 and 1·x as x.
        digits: of a number.
        code: whether it is Python: `x ** 2`.
    """

    tex: bool = False
    folds: bool = False
    digits: int = 4
    code: bool = False

    def number(self, x: float) -> Term:
        """A number as a term."""
        text = latex_number(x, self.digits) if self.tex else number_text(x, self.digits, math=not self.code)
        return Term(self, text, SUM if text[0] in "-−" else ATOM if text[-1] not in "⁰¹²³⁴⁵⁶⁷⁸⁹}" else PRODUCT, x)

    def name(self, text: str) -> Term:
        """A name as a term."""
        return Term(self, in_latex(text) if self.tex else text if self.code else in_letters(text), ATOM)

    def call(self, name: str, *operands: Any) -> Term:
        """A function of terms."""
        terms = [x if isinstance(x, Term) else self.number(x) for x in operands]
        inside = ", ".join(x.text for x in terms)
        if self.code:
            return Term(self, f"{name}({inside})", ATOM)
        if name == "sqrt" and len(terms) == 1:
            return Term(self, rf"\sqrt{{{inside}}}" if self.tex else f"√{terms[0].within(ATOM)}", ATOM)
        if name == "abs" and len(terms) == 1:
            return Term(self, rf"\left|{inside}\right|" if self.tex else f"|{inside}|", ATOM)
        if name == "norm":
            return Term(self, rf"\left\|{inside}\right\|" if self.tex else f"‖{inside}‖", ATOM)
        if name == "exp" and self.tex:
            return Term(self, f"e^{{{inside}}}", POWER)
        if self.tex:
            spelled = {"σ": r"\sigma", "sigmoid": r"\sigma"}.get(name) or (
                rf"\{name}" if name in _TEX_FUNCTIONS else rf"\operatorname{{{escaped(name)}}}"
            )
            return Term(self, rf"{spelled}\left({inside}\right)", ATOM)
        return Term(self, f"{'σ' if name == 'sigmoid' else name}({inside})", ATOM)


_TEX_FUNCTIONS = frozenset(("sin", "cos", "tan", "sinh", "cosh", "tanh", "log", "max", "min", "exp"))


@dataclass(frozen=True)
class Term:
    """A formula as text; arithmetic of Terms writes it with the brackets that it needs.

    Args:
        language: how it is written.
        text: the formula.
        level: how tightly it binds, SUM to ATOM.
        value: the number, if it is one.
    """

    language: Language = field(repr=False)
    text: str
    level: int
    value: float | None = None

    def within(self, level: int) -> str:
        """The text, in brackets unless it binds at least so tightly."""
        if self.level >= level:
            return self.text
        return rf"\left({self.text}\right)" if self.language.tex else f"({self.text})"

    def _other(self, x: Any) -> Term:
        return x if isinstance(x, Term) else self.language.number(float(x))

    def _made(self, text: str, level: int) -> Term:
        return Term(self.language, text, level)

    def _known(self, other: Term, f: Callable[[float, float], float]) -> Term | None:
        if self.language.folds and self.value is not None and other.value is not None:
            return self.language.number(f(self.value, other.value))
        return None

    @property
    def _minus(self) -> str:
        return "-" if self.language.tex or self.language.code else "−"

    def __add__(self, x: Any) -> Term:
        other = self._other(x)
        if (known := self._known(other, lambda a, b: a + b)) is not None:
            return known
        if self.language.folds and other.value == 0.0:
            return self
        if self.language.folds and self.value == 0.0:
            return other
        if other.value is not None and other.text[0] in "-−":
            return self._made(f"{self.text} {self._minus} {other.text[1:]}", SUM)
        right = other.text if other.text[0] not in "-−" else other.within(ATOM)
        return self._made(f"{self.text} + {right}", SUM)

    def __radd__(self, x: Any) -> Term:
        return self._other(x) + self

    def __sub__(self, x: Any) -> Term:
        other = self._other(x)
        if (known := self._known(other, lambda a, b: a - b)) is not None:
            return known
        if self.language.folds and other.value == 0.0:
            return self
        return self._made(f"{self.text} {self._minus} {other.within(PRODUCT)}", SUM)

    def __rsub__(self, x: Any) -> Term:
        return self._other(x) - self

    def __neg__(self) -> Term:
        if self.language.folds and self.value is not None:
            return self.language.number(-self.value)
        return self._made(f"{self._minus}{self.within(PRODUCT)}", SUM)

    def __mul__(self, x: Any) -> Term:
        other = self._other(x)
        if (known := self._known(other, lambda a, b: a * b)) is not None:
            return known
        if self.language.folds:
            if 0.0 in (self.value, other.value):
                return self.language.number(0.0)
            if 1.0 in (self.value, other.value):
                return other if self.value == 1.0 else self
            if other.value is not None:  # 2·x, not x·2
                return other * self
            if self.value == -1.0:
                return -other
        left = self.text if self.value is not None else self.within(PRODUCT)
        right = other.within(PRODUCT if other.value is None or self.language.tex else POWER)
        if self.language.code:
            return self._made(f"{left} * {right}", PRODUCT)
        if self.language.tex:
            return self._made(
                rf"{left} {chr(92)}cdot {right}" if right[:1].isdigit() else rf"{left} \, {right}", PRODUCT
            )
        return self._made(f"{left}·{right}", SUM if left[0] == "−" else PRODUCT)

    def __rmul__(self, x: Any) -> Term:
        return self._other(x) * self

    def __truediv__(self, x: Any) -> Term:
        other = self._other(x)
        if (known := self._known(other, lambda a, b: a / b)) is not None:
            return known
        if self.language.tex:
            return self._made(rf"\frac{{{self.text}}}{{{other.text}}}", PRODUCT)
        return self._made(f"{self.within(PRODUCT)} / {other.within(POWER)}", PRODUCT)

    def __rtruediv__(self, x: Any) -> Term:
        return self._other(x) / self

    def __pow__(self, x: Any) -> Term:
        other = self._other(x)
        if self.language.folds and other.value == 1.0:
            return self
        if self.language.folds and other.value == 0.0:
            return self.language.number(1.0)
        if self.language.code:
            return self._made(f"{self.within(ATOM)} ** {other.within(ATOM)}", POWER)
        if self.language.tex:
            return self._made(f"{{{self.within(ATOM)}}}^{{{other.text}}}", POWER)
        n = other.value
        if n is not None and n == int(n if isfinite(n) else 0.5) and abs(n) < 1000:
            return self._made(f"{self.within(ATOM)}{superscript(int(n))}", POWER)
        return self._made(f"{self.within(ATOM)}^{other.within(ATOM)}", POWER)

    def __rpow__(self, x: Any) -> Term:
        return self._other(x) ** self


def superscript(n: int) -> str:
    """A whole number as an exponent."""
    return str(n).translate(SUPERSCRIPTS)


def number_text(x: float, digits: int = 4, math: bool = True) -> str:
    """A number with n significant digits; in mathematics with a true minus and a power of ten.

    Example:
        >>> from autograd_lite.pictures.mathematics import number_text
        >>> number_text(-1.5e-7), number_text(-1.5e-7, math=False)
        ('−1.5×10⁻⁷', '-1.5e-07')
    """
    text = f"{x:.{digits}g}"
    if not math:
        return text
    if not isfinite(x):
        return "NaN" if isnan(x) else "∞" if x > 0 else "−∞"
    mantissa, _, exponent = text.replace("-", "−", 1 if x < 0 or text[0] == "-" else 0).partition("e")
    return mantissa + (f"×10{superscript(int(exponent))}" if exponent else "")


def latex_number(x: float, digits: int = 4) -> str:
    """A number in LaTeX's mathematics."""
    text = f"{x:.{digits}g}".replace("inf", r"\infty").replace("nan", r"\text{NaN}")
    mantissa, _, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


# --- operations and their derivatives ---------------------------------------------------------------------------

SYMBOLS = {"*": "×", "-": "−", "**": "xⁿ", ">=": "≥", "<=": "≤", "!=": "≠", "==": "=", "sqrt": "√", "%": "mod",
           "abs": "|x|"}  # fmt: skip
"""What a box writes for an operation."""

DERIVATIVES = {
    "div": "1 / b, -a / b ** 2", "pow": "b * a ** (b - 1), out * log(a)", "log": "1 / a", "log2": "1 / (a * log(2))",
    "log10": "1 / (a * log(10))", "sqrt": "1 / (2 * out)", "cbrt": "1 / (3 * out ** 2)", "tan": "1 + out ** 2",
    "atan": "1 / (1 + a ** 2)", "asin": "1 / sqrt(1 - a ** 2)", "acos": "-1 / sqrt(1 - a ** 2)",
    "asinh": "1 / sqrt(1 + a ** 2)", "acosh": "1 / sqrt(a ** 2 - 1)", "atanh": "1 / (1 - a ** 2)",
    "tanh": "1 - out ** 2", "sigmoid": "out * (1 - out)", "log_sigmoid": "sigmoid(-a)", "relu": "holds(a, '>', 0)",
    "maximum": "holds(a, '>', b), holds(b, '>', a)", "minimum": "holds(a, '<', b), holds(b, '<', a)",
    "atan2": "b / (a ** 2 + b ** 2), -a / (a ** 2 + b ** 2)", "hypot": "a / out, b / out", "abs": "sign(a)",
    "where": "0, holds(condition, '≠', 0), holds(condition, '=', 0)", "_expdiff": "out, -out",
    "_logistic": "out * (1 - out), -out * (1 - out)", "degrees": "180 / π", "radians": "π / 180",
    "exp2": "out * log(2)",
    "erf": "2 / sqrt(π) * exp(-(a ** 2))", "silu": "sigmoid(a) * (1 + a * sigmoid(-a))",
}  # fmt: skip
"""Derivatives as a slide writes them, where the rule of the table guards an edge or avoids an overflow."""


def derivative(node: Value, slot: int, name: Callable[[Any], str], language: Language) -> str:
    """The local gradient of an operand as a formula; "" where there is none that is short."""
    row = node._row
    operands = raw_operands(node)
    if row is None:
        return ""
    term = {x: _term(operands[x], name, language) for x in range(len(operands))}
    out = language.name(name(node))
    if row.variadic:
        return _of_sequence(row.name, slot, term, out, language)
    text = DERIVATIVES.get(row.name) or (row.partials if row.builtin and isinstance(row.partials, str) else "")
    if not text or "where(" in text or "_" in text:
        return ""
    known = {**_functions(language), "out": out, "π": language.name("π")}
    found = eval(_compiled(text), {"__builtins__": {}}, known | dict(zip(row.operands, term.values(), strict=False)))
    one = found[slot] if isinstance(found, tuple) else found
    return (one if isinstance(one, Term) else language.number(float(one))).text


def _of_sequence(name: str, slot: int, term: Mapping[int, Term], out: Term, language: Language) -> str:
    n = len(term)
    if name == "sum":
        return language.number(1.0).text
    if name == "mean":
        return f"1/{n}" if not language.tex else rf"\frac{{1}}{{{n}}}"
    if name == "dot":
        half = n // 2
        return language.number(1.0).text if slot == 2 * half else term[slot + half if slot < half else slot - half].text
    if name == "prod":
        others = [term[i] for i in range(n) if i != slot]
        product = others[0] if others else language.number(1.0)
        for other in others[1:]:
            product = product * other
        return product.text
    if name == "norm":
        return (term[slot] / out).text
    if name == "logsumexp":
        return language.call("exp", term[slot] - out).text
    return ""


def _term(x: Any, name: Callable[[Any], str], language: Language) -> Term:
    return language.number(x) if x.__class__ is float else language.name(name(x))


@lru_cache(maxsize=512)
def _compiled(text: str) -> Any:
    return compile(text, "<rule>", "eval")


def _functions(language: Language) -> dict[str, Any]:
    calls = "exp log sqrt sin cos tan sinh cosh tanh sigmoid sign hypot digamma polygamma ndtr erf abs expm1 log1p"

    def call(name: str) -> Callable[..., Term]:
        return lambda *xs: language.call(name, *xs)

    def holds(a: Any, sign: str, b: Any) -> Term:
        left, right = (x if isinstance(x, Term) else language.number(float(x)) for x in (a, b))
        relation = {"≠": r"\ne"}.get(sign, sign) if language.tex else sign
        return Term(language, f"[{left.text} {relation} {right.text}]", ATOM)

    return {name: call(name) for name in calls.split()} | {"holds": holds}


def written(node: Value, operands: Sequence[Term], language: Language) -> Term:
    """A node as a formula of its operands."""
    row = node._row
    assert row is not None
    name = row.name
    if name in DIFFERENCES:
        return language.call(DIFFERENCES[name], operands[0] - operands[1])
    made = _OPERATORS.get(name)
    if made is not None:
        return made(*operands)
    if name in ("sum", "mean", "dot", "prod") and operands:
        terms = list(operands)
        if name == "dot":
            half = len(terms) // 2
            pairs = zip(terms[:half], terms[half : 2 * half], strict=True)
            terms = [*(a * b for a, b in pairs), *terms[2 * half :]]
        total = _joined(terms, language, product=name == "prod")
        return total / len(operands) if name == "mean" else total
    if row.infix:
        left, right = (x.within(PRODUCT) for x in operands)
        sign = row.symbol if language.code else SYMBOLS.get(row.symbol, row.symbol)
        return Term(language, f"{left} {_relation(sign) if language.tex else sign} {right}", SUM)
    shown = row.symbol if name.startswith("_") else "σ" if name == "sigmoid" else name
    if language.code:
        shown = name.lstrip("_")
    return language.call(printable(shown, 16), *operands)


def in_words(node: Value, name: Callable[[Any], str]) -> str:
    """A node as a formula of its operands, for a box."""
    language = Language()
    return printable(written(node, [_term(x, name, language) for x in raw_operands(node)], language).text, 30)


_OPERATORS: dict[str, Callable[..., Term]] = {
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "_shift": lambda a, b: a - b, "mul": lambda a, b: a * b,
    "_chain": lambda a, b: a * b, "_masked": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": lambda a: -a,
    "pow": lambda a, b: a**b,
}  # fmt: skip


def _relation(sign: str) -> str:
    return {"≥": r"\ge", "≤": r"\le", "≠": r"\ne", "mod": r"\bmod"}.get(
        sign, sign if sign in "<>=" else rf"\mathbin{{\text{{{escaped(sign)}}}}}"
    )


def _joined(terms: Sequence[Term], language: Language, product: bool) -> Term:
    dots = Term(language, r"\cdots" if language.tex else "…", ATOM)
    shown = list(terms) if len(terms) <= 8 else [*terms[:6], dots, terms[-1]]
    total = shown[0]
    for term in shown[1:]:
        total = total * term if product else total + term
    return total


# --- the style of a picture ------------------------------------------------------------------------------------

PARTS = ("f", "g", "local")


@dataclass(frozen=True)
class Style:
    """What a picture shows and how it writes it.

    Args:
        show: which of PARTS.
        symbols: "math" or "code".
        local: "number" or "formula": what stands at an edge.
        digits: significant digits of a number.
        legend: whether a key is drawn below the picture.
    """

    show: frozenset[str] = frozenset(PARTS)
    symbols: str = "code"
    local: str = "number"
    digits: int = 4
    legend: bool = False

    @property
    def math(self) -> bool:
        """Whether it writes as a slide does."""
        return self.symbols == "math"

    @property
    def language(self) -> Language:
        """For formulas of derivatives."""
        return Language(folds=True, digits=self.digits, code=not self.math)

    def number(self, x: float) -> str:
        """A number."""
        return number_text(x, self.digits, self.math)

    def interval(self, low: float, high: float) -> str:
        """A range, or the one number that it is."""
        first, last = self.number(low), self.number(high)
        return first if first == last else f"{first} … {last}"

    def name(self, text: str) -> str:
        """What something is called."""
        return in_letters(text) if self.math else text

    def symbol(self, text: str) -> str:
        """What a box does."""
        return SYMBOLS.get(text, text) if self.math else text

    def caption(self, text: str, names: Mapping[str, str]) -> str:
        """A line of arithmetic as the steps have it, with the names that the picture has in place of others."""
        if not self.math:
            return text
        for name, shown in names.items():
            text = re.sub(rf"(?<![\w.\]\\]){re.escape(name)}(?![\w\[])", lambda _, shown=shown: shown, text)  # type: ignore[misc]
        text = re.sub(r" \*\* (\d+)(?![\d.])", lambda found: superscript(int(found[1])), text)
        text = re.sub(r"\bd\(([^()]*)\)/d\(([^()]*)\)", r"∂\1/∂\2", text)
        return self.prose(text.replace(" * ", " · ").replace(" <- ", " ← ").replace(" - ", " − "))

    def prose(self, text: str) -> str:
        """A note: negative numbers get a true minus, names with an index a subscript."""
        if not self.math:
            return text
        text = re.sub(r"(?<![\w.])[A-Za-z]+(?:\[\d+\])+(?![\w\[])", lambda found: in_letters(found[0]), text)
        # What a closed frame holds, as "12 *, 3 -".
        text = re.sub(r"(?<=\d )(\*\*|[*-])(?=,|$)", lambda found: SYMBOLS[found[0]], text)
        return re.sub(r"(?<![\w\])-])-(?=[\d.])", "−", text)


PLAIN = Style()
"""As the listing writes it."""


def checked_style(who: str, show: Any, symbols: Any, local: Any, digits: Any, legend: Any) -> Style:
    """A Style of what draw and step are called with.

    Raises:
        TypeError: show is not a sequence of names, digits not a whole number, or legend not a bool.
        ValueError: a name that is unknown, or digits not from 1 to 17.
    """
    if isinstance(show, str) or not isinstance(show, Iterable):
        raise TypeError(
            f"{who}: show must be a sequence of 'f', 'g' and 'local', such as ('f', 'g'), got {describe(show)}"
        )
    parts = list(show)
    for part in parts:
        if not isinstance(part, str) or part not in PARTS:
            raise ValueError(f"{who}: show takes 'f', 'g' and 'local', got {describe(part)}")
    for name, given, choices in (("symbols", symbols, ("math", "code")), ("local", local, ("number", "formula"))):
        if not isinstance(given, str) or given not in choices:
            raise ValueError(f"{who}: {name} must be {choices[0]!r} or {choices[1]!r}, got {describe(given)}")
    if not isinstance(legend, bool):
        raise TypeError(f"{who}: legend must be True or False, got {describe(legend)}")
    digits = whole(digits, f"{who}: digits", 1)
    if digits > 17:
        raise ValueError(f"{who}: digits is how many figures of a number are shown, from 1 to 17, got {digits}")
    return Style(frozenset(parts), symbols, local, digits, legend)
