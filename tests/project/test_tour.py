"""The guided tour as a user runs it, with and without the optional packages."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WITHOUT = """
import sys
for name in {missing!r}:
    sys.modules[name] = None
from autograd_lite.__main__ import main
raise SystemExit(main({arguments!r}))
"""


def tour(*arguments, missing=(), cwd):
    code = WITHOUT.format(missing=list(missing), arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, timeout=120)


def test_the_tour_trains_a_model_on_real_data_and_saves_its_pictures(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra `all`")
    run = subprocess.run(
        [sys.executable, "-m", "autograd_lite"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert "is [6, 12]" in run.stdout
    assert re.search(r"o6\s+0\.473889\s+0\.473889", run.stdout)
    assert float(re.search(r"Held-out accuracy: ([\d.]+)", run.stdout).group(1)) >= 0.95
    assert re.search(r"epoch  1  loss 0\.\d+", run.stdout)
    out = tmp_path / "autograd_lite_tour"
    assert {path.name for path in out.iterdir()} >= {"loss.svg", "loss.html", "network.svg", "weights.csv"}
    assert str(out) in run.stdout


def test_without_optional_packages_it_says_what_it_left_out(tmp_path):
    run = tour("--out", "here", "--seed", "3", missing=["sklearn", "pygraphviz", "matplotlib"], cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "Left out: the breast cancer table, which needs scikit-learn" in run.stdout
    assert float(re.search(r"Held-out accuracy: ([\d.]+)", run.stdout).group(1)) >= 0.95
    assert (tmp_path / "here" / "loss.svg").read_text().startswith("<svg")


def test_one_seed_one_result(tmp_path):
    runs = [tour("--seed", "5", missing=["sklearn"], cwd=tmp_path).stdout for _ in range(2)]
    epochs = [[line for line in out.splitlines() if line.startswith("epoch")] for out in runs]
    assert epochs[0] == epochs[1] != []


def test_help_and_a_folder_that_cannot_be_made(tmp_path):
    assert "--seed" in tour("--help", cwd=tmp_path).stdout
    (tmp_path / "file").write_text("")
    run = tour("--out", "file/inside", cwd=tmp_path)
    assert run.returncode == 2
    assert "--out: cannot make the folder" in run.stderr


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "out" / "loss.svg").mkdir(parents=True)
    run = tour("--out", "out", missing=["sklearn"], cwd=tmp_path)
    assert run.returncode == 2
    assert "--out: cannot write to" in run.stderr
    assert "Traceback" not in run.stderr


def test_readme_commands_are_what_ci_runs():
    readme = (ROOT / "README.md").read_text()
    block = re.search(r"```sh install\n(.*?)```", readme, re.S).group(1).splitlines()
    assert block == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[all,test]' && .venv/bin/python -m autograd_lite",
        ".venv/bin/python -m pytest -n auto",
    ]
    assert "sh install" in (ROOT / ".ci" / "run").read_text()


def test_an_interrupted_tour_says_where_the_rest_is(tmp_path, monkeypatch, capsys):
    from autograd_lite import __main__ as program

    def interrupted(out):
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "small_network", interrupted)
    assert program.main(["--out", str(tmp_path / "here")]) == 130
    said = capsys.readouterr()
    assert f"Interrupted. What was finished is in {tmp_path / 'here'}." in said.err
    assert "All of it" not in said.out
    assert (tmp_path / "here" / "loss.svg").exists()
