"""What a release consists of: versions that agree, files that the code host reads, a wheel with every file in it."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import autograd_lite as ag

ROOT = Path(__file__).parents[2]


def yaml(path):
    return pytest.importorskip("yaml", reason="PyYAML comes with distributed").safe_load(
        (ROOT / path).read_text(encoding="utf-8")
    )


def test_versions_are_what_runs_here():
    found = ag.versions()
    assert found["autograd_lite"] == ag.__version__
    assert found["python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert found["backend"].startswith(("native", "numpy ("))
    lines = str(found).splitlines()
    assert len(lines) == len(found)
    assert re.fullmatch(r"numpy +[0-9.]+\S*", next(line for line in lines if line.startswith("numpy")))


def test_what_is_not_installed_is_said(monkeypatch):
    from autograd_lite import version_report

    monkeypatch.setitem(version_report.PACKAGES, "jax", "a-package-that-is-not-there")
    assert ag.versions()["jax"] == "not installed"


def test_the_citation_is_of_this_version():
    assert yaml("CITATION.cff")["version"] == ag.__version__
    assert yaml("CITATION.cff")["license"] == "MIT"


def test_the_workflow_tries_each_python_that_is_promised():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    promised = re.findall(r"Python :: (3\.\d+)", text)
    jobs = yaml(".github/workflows/tests.yml")["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert list(matrix) == ["include"]  # else a line that repeats a pair of the lists would change its job
    plain = [
        entry["python"] for entry in matrix["include"] if list(entry) == ["os", "python"] and "ubuntu" in entry["os"]
    ]
    assert plain == promised
    assert {entry["os"] for entry in matrix["include"]} >= {"macos-latest", "windows-latest"}
    assert {"AVX2", "AVX-512"} <= {entry.get("note", "").strip(", ") for entry in matrix["include"]}
    assert any("bash .ci/package" in step.get("run", "") for step in jobs["package"]["steps"])
    text_of_jobs = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    assert not [use for use in re.findall(r"uses: (\S+)", text_of_jobs) if not re.search(r"@[0-9a-f]{40}$", use)]
    assert f'requires-python = ">={promised[0]}"' in text
    assert any("bash .ci/run" in step.get("run", "") for step in jobs["whole"]["steps"])


@pytest.mark.parametrize("name", ["bug", "wish"])
def test_templates_are_forms(name):
    form = yaml(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert form["name"]
    assert all(part["type"] == "textarea" for part in form["body"])
    assert (name == "bug") == ("ag.versions()" in str(form))


def test_hooks_are_those_of_ci():
    hooks = [hook["entry"] for repo in yaml(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    said = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert [entry.split()[0] for entry in hooks] == ["ruff", "ruff", "mypy"]
    assert all(f".venv/bin/{entry.split(' --')[0]}" in said for entry in hooks)


def test_the_wheel_has_every_file_of_the_package(tmp_path):
    for builder in ("hatchling", "hatch_fancy_pypi_readme"):
        pytest.importorskip(builder, reason="what builds the wheel is in the extra `test`")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "autograd_lite").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip
    assert files <= names
    with zipfile.ZipFile(wheel) as archive:
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        text = archive.read(metadata).decode()
    shown = text[
        text.index("\n\n") :
    ]  # what a package index shows: no address is known, so nothing is linked from there
    assert "# autograd_lite" in shown
    assert not [link for link in re.findall(r"\]\(([^)]*)\)", shown) if not link.startswith("https:")]
    assert not [name for name in names if not name.startswith(("autograd_lite/", "autograd_lite-"))]


def extras():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    part = text[text.index("[project.optional-dependencies]") :]
    return set(re.findall(r"(?m)^(\w+) = \[", part[: part.index("\n[", 1)]))


def test_each_extra_that_is_named_is_there():
    """In messages, documents and examples; quoted, since brackets are patterns to a shell."""
    named = set()
    for path in [*(ROOT / "autograd_lite").rglob("*.py"), *(ROOT / "examples").glob("*.py"), *ROOT.rglob("docs/*.md")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install -?\w* ?autograd_lite\[", text), f"{path}: quote the name with its extra"
        named |= set(re.findall(r"autograd_lite\[(\w+)\]", text))
        named |= set(re.findall(r'needs\([^\n]*, [^,\n]+, "(\w+)"', text))
    assert {"fast", "jax", "scipy", "sklearn", "viz"} <= named <= extras()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (
        {"viz", "scipy", "sklearn", "fast", "jax", "all"} <= set(re.findall(r"(?m)^\| `(\w+)` \|", readme)) <= extras()
    )


@pytest.mark.parametrize("method", ["lbfgs", "newton", "trust", "lm"])
def test_minimize_names_the_extra_that_it_lacks(monkeypatch, method):
    monkeypatch.setitem(sys.modules, "scipy", None)
    p = ag.Parameter(1.0)
    with pytest.raises(ImportError, match=r"minimize needs SciPy: pip install 'autograd_lite\[scipy\]'"):
        ag.minimize(lambda: (p - 3.0) ** 2, [p], method=method)
    assert p.item() == 1.0
