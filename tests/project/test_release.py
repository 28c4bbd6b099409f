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
    return pytest.importorskip("yaml", reason="PyYAML comes with distributed").safe_load((ROOT / path).read_text())


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
    text = (ROOT / "pyproject.toml").read_text()
    promised = re.findall(r"Python :: (3\.\d+)", text)
    jobs = yaml(".github/workflows/tests.yml")["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert matrix["python"] == promised
    assert {entry["os"] for entry in matrix["include"]} >= {"macos-latest", "windows-latest"}
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
    said = (ROOT / ".ci/run").read_text()
    assert [entry.split()[0] for entry in hooks] == ["ruff", "ruff", "mypy"]
    assert all(f".venv/bin/{entry.split(' --')[0]}" in said for entry in hooks)


def test_the_wheel_has_every_file_of_the_package(tmp_path):
    pytest.importorskip("hatchling", reason="hatchling builds the wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "autograd_lite").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    }  # fmt: skip
    assert files <= names
    assert not [name for name in names if not name.startswith(("autograd_lite/", "autograd_lite-"))]
