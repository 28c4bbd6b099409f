"""Build the playground: one folder of static files, with Python, the package and the editor, that any host serves.

python -m tools.build_playground OUT

It takes node and npm, and installs the packages of docs/playground/package.json, in their versions there, into
docs/playground/node_modules. Nothing that is built is committed.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SOURCES = HERE / "docs" / "playground"
PACKAGE = HERE / "autograd_lite"

PYODIDE = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip", "pyodide-lock.json")
"""What Pyodide loads by itself; its typings, consoles and source maps stay out."""

COPIED = ("frame.html", "icon.svg", "worker.js", "playground.css")


def main() -> None:
    """Build into the folder of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.build_playground", description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="the folder to write; it must be empty, missing, or built before")
    build(parser.parse_args().out)


def build(out: Path) -> Path:
    """Write the playground into a folder, which is replaced if it was built before."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        sys.exit("build_playground: node and npm are needed (https://nodejs.org); install them and try again")
    if out.exists() and any(out.iterdir()) and not (out / "playground.js").exists():
        sys.exit(f"build_playground: {out} is not empty and not a playground; give another folder")
    modules = _installed(npm)
    out = out.resolve()  # the bundler runs in another folder
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".playground-") as made:
        made_in = Path(made)
        _write(made_in, modules)
        if out.exists():
            shutil.rmtree(out)
        shutil.copytree(made_in, out)
    out.chmod(0o755)  # a temporary folder is for its owner alone
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {sum(p.is_file() for p in out.rglob('*'))} files, {size / 1e6:.1f} MB")
    return out


def _installed(npm: str) -> Path:
    """node_modules with the packages of package.json; installed only where a version differs."""
    modules = SOURCES / "node_modules"
    wanted = json.loads((SOURCES / "package.json").read_text(encoding="utf-8"))
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        about = modules / name / "package.json"
        if not about.exists() or json.loads(about.read_text(encoding="utf-8"))["version"] != version:
            options = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"]
            subprocess.run([npm, "install", *options], cwd=SOURCES, check=True)
            break
    return modules


def _write(out: Path, modules: Path) -> None:
    for name in COPIED:
        shutil.copyfile(SOURCES / name, out / name)
    (out / "pyodide").mkdir()
    for name in PYODIDE:
        shutil.copyfile(modules / "pyodide" / name, out / "pyodide" / name)
    _package(out / "autograd_lite.zip")
    source = (SOURCES / "playground.js").read_text(encoding="utf-8")
    nonce = base64.b64encode(hashlib.sha256(source.encode()).digest()[:15]).decode()
    _bundle(out, modules, nonce)
    page = (SOURCES / "index.html").read_text(encoding="utf-8")
    (out / "index.html").write_text(page.replace("@NONCE@", nonce), encoding="utf-8", newline="\n")
    (out / "first.svg").write_text(_first_picture(), encoding="utf-8", newline="\n")
    (out / "LICENSES.txt").write_text(_licences(modules), encoding="utf-8", newline="\n")
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + b"\0" + (out / name).read_bytes())
    worker = (SOURCES / "sw.js").read_text(encoding="utf-8")
    kept = ["./", *(name for name in files if name != "LICENSES.txt")]
    worker = worker.replace("@VERSION@", digest.hexdigest()[:16]).replace("@FILES@", json.dumps(kept))
    (out / "sw.js").write_text(worker, encoding="utf-8", newline="\n")


def _package(target: Path) -> None:
    """The package and page.py, with fixed dates, so that the same sources give the same file."""
    files = {path.relative_to(HERE).as_posix(): path for path in sorted(PACKAGE.rglob("*"))}
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in [*files.items(), ("page.py", SOURCES / "page.py")]:
            if not path.is_file() or path.suffix in (".pyc", ".pyi") or "__pycache__" in name:
                continue
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_DEFLATED)


def examples() -> list[dict[str, str]]:
    """The examples: title, the tab that opens, and the program."""
    folder = SOURCES / "examples"
    return [
        {"title": entry["title"], "view": entry["view"], "source": (folder / entry["file"]).read_text(encoding="utf-8")}
        for entry in json.loads((folder / "index.json").read_text(encoding="utf-8"))
    ]


def _bundle(out: Path, modules: Path, nonce: str) -> None:
    """The page's script with the editor in one file."""
    binary = modules / "esbuild" / "bin" / "esbuild"
    listed = SOURCES / "node_modules" / ".examples.json"
    listed.write_text(json.dumps(examples()), encoding="utf-8")
    node = shutil.which("node")
    command = [
        str(binary), "playground.js", "--bundle", "--format=esm", "--target=es2022", "--minify",
        "--legal-comments=none",
        f"--define:STYLE_NONCE={json.dumps(nonce)}", f"--alias:examples={listed}", f"--outfile={out / 'playground.js'}",
        "--log-level=warning",
    ]  # fmt: skip
    with binary.open("rb") as start:  # the program itself, or a script that starts it
        script = start.read(2) == b"#!"
    environment = {**os.environ, "NODE_PATH": str(modules)}
    subprocess.run([node, *command] if script else command, cwd=SOURCES, check=True, env=environment)


def _first_picture() -> str:
    """The graph of the first example, which is shown while Python loads."""
    import autograd_lite as ag

    names: dict[str, object] = {"print": lambda *_: None}
    exec(examples()[0]["source"], names)
    return ag.draw(names["loss"], names={k: x for k, x in names.items() if isinstance(x, ag.Value)}).svg  # type: ignore[call-overload]


def _licences(modules: Path) -> str:
    """The licence of each package of which a part is in the folder."""
    parts = [
        "The playground contains autograd_lite and the packages below.\n",
        _entry("autograd_lite", "", "MIT", HERE),
    ]
    for about in sorted([*modules.glob("*/package.json"), *modules.glob("@*/*/package.json")]):
        said = json.loads(about.read_text(encoding="utf-8"))
        if said["name"].startswith(("esbuild", "@esbuild/", "@types/")) or said["name"] == "ws":  # used, not contained
            continue
        parts.append(_entry(said["name"], said["version"], str(said.get("license", "")), about.parent))
    return "\n".join(parts)


MPL = """\
The files of this package are covered by the Mozilla Public License, version 2.0, whose text is at
https://www.mozilla.org/en-US/MPL/2.0/. They are unchanged; their sources are at https://github.com/pyodide/pyodide.
They contain CPython and its standard library (Python Software Foundation License, https://docs.python.org/3/license.html).
"""


def _entry(name: str, version: str, licence: str, folder: Path) -> str:
    files = [path for path in sorted(folder.iterdir()) if re.match(r"(?i)(licen[sc]e|copying|notice)", path.name)]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files if path.is_file())
    if not text and licence != "MPL-2.0":
        raise SystemExit(f"build_playground: {name} has no licence file; see to it before it is shipped")
    return f"{'=' * 78}\n{name} {version}  ({licence})\n{'=' * 78}\n{text or MPL}"


if __name__ == "__main__":
    main()
