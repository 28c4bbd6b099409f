"""Plain English in the package and its documents: habits that a pattern can find."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = [
    *sorted((ROOT / "autograd_lite").rglob("*.py")),
    *sorted((ROOT / "tools").glob("*.py")),
    *sorted((ROOT / "examples").glob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "site").glob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]

PHRASES = {
    "is not a": r"\b(?:is|are) no ",
    "would be": r"\b(?:that|which) were an?\b",
    "n, or this many": r"\bso many\b",
    "user-defined": r"\bof (?:one's|the user's) own\b",
    "corrected, or compensated": r"\b(?:made|makes?) good\b",
    "name it, instead of `its like`": r"\bits like\b",
    "name them, instead of `and its kind`": r"\band (?:its|their) kind\b",
    "is called with, or reports": r"\b(?:told|hears|heard|listens|listening)\b",
}
"""What to write, and the pattern of what not to."""

ALLOWED = (
    r"\bthere (?:is|are) no ",  # nothing is wrong with it
    r"\b(?:is|are) no (?:longer|more|less|fewer|larger|smaller|greater|better|worse|faster|slower)\b",
    r"\b(?:be told|told apart)\b",  # "it cannot be told", as in "a, b must be told apart"
    r"([\"'])told\1",  # a key in the files of checkpoints
)


def matches(pattern, text):
    """All matches; a line break counts as a space, in a comment too."""
    return re.finditer(pattern.replace(" ", r"[\s#]+"), text)


def found(text):
    """(line, what to write, what is there) for each phrase."""
    for pattern in ALLOWED:
        for good in list(matches(pattern, text)):
            text = text[: good.start()] + re.sub(r"\w", "_", good[0]) + text[good.end() :]
    for instead, pattern in PHRASES.items():
        for match in matches(pattern, text):
            yield text.count("\n", 0, match.start()) + 1, instead, " ".join(match[0].split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_plain_english(path):
    name = str(path.relative_to(ROOT))
    faults = [
        f"{name}:{line}: {phrase!r}; write: {instead}"
        for line, instead, phrase in found(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "\n".join(faults)


def test_the_patterns_find_what_they_are_for():
    bad = "x is no leaf; they are no\n    # leaves; that were a cycle; so many rows; a block of one's own; "
    bad += "made good; its like; sin and its kind; it is told of; who listens"
    assert len(list(found(bad))) == len(PHRASES) + 2
    good = (
        "there\nis no leaf; it is no longer so; a name of its own; if there were a cycle; must be told apart; ['told']"
    )
    assert not list(found(good))
