"""Builds the site: docs, course, reference and gallery as HTML, without a warning and with every link checked.

    python -m tools.build_site OUT                        # needs the extras `docs` and `all`
    python -m tools.build_site OUT --playground FOLDER    # with the playground that tools.build_playground made there

The pages are README.md, docs/, notebooks/, examples/ and benchmarks/RESULTS.md as they are in the repository, with the
same links between them, docs/site/ and the reference that tools/site_api.py makes. Notebooks and the gallery are run:
the outputs stored in a notebook are for hosts that run no script, and have no player in them.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tools.site_api import pages

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "site"

COPIED = ("docs/*.md", "docs/*.svg", "docs/pictures/*", "notebooks/*.ipynb", "benchmarks/RESULTS.md")
COPIED += ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md")

PLAYGROUND = "playground/README.md"
LINK = re.compile(
    rf"\]\((?P<up>(?:\.\./)*)(?P<to>README\.md|notebooks/?|examples/?|examples/\w+\.py|(?:docs/)?{PLAYGROUND})\)"
)
"""A link to a folder or a program of the repository, which has a page here."""


def page_of(link: re.Match[str]) -> str:
    to = link["to"].rstrip("/")
    if to.endswith(PLAYGROUND):  # its page stands beside the folder docs/
        return "](playground.md)" if to.startswith("docs/") else "](../playground.md)"
    page = {"README.md": "index.md", "notebooks": "course.md", "examples": "examples/index.md"}.get(
        to, to.replace(".py", ".md")
    )
    return f"]({link['up']}{page})"


def example(path: Path) -> tuple[str, str]:
    """What a program of examples/ is, in a line, and its page."""
    source = path.read_text(encoding="utf-8")
    about = (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]
    about = about.partition(": python examples")[0].partition(" python examples")[0].rstrip(":. ")
    about = about.replace("*", "\\*").replace("_", "\\_")
    return about, f"# {path.name}\n\n{about}.\n\n````python\n{source}````\n"


def stage(to: Path) -> None:
    """Put the sources of all pages into a folder, in the layout of the repository."""
    shutil.copytree(SITE, to, dirs_exist_ok=True)
    for pattern in COPIED:
        for path in ROOT.glob(pattern):
            target = to / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".md":
                target.write_text(LINK.sub(page_of, path.read_text(encoding="utf-8")), encoding="utf-8")
            else:
                shutil.copyfile(path, target)
    home = (to / "index.md").read_text(encoding="utf-8")
    documents = [f"docs/{path.stem}\n" for path in sorted((to / "docs").glob("*.md"))]
    others = "".join(document for document in documents if f"\n{document}" not in home)
    (to / "index.md").write_text(home.replace("MORE\n", others), encoding="utf-8")
    (to / "api").mkdir()
    for name, text in pages().items():
        (to / "api" / f"{name}.rst").write_text(text, encoding="utf-8")
    (to / "examples").mkdir()
    rows = []
    for path in sorted((ROOT / "examples").glob("*.py")):
        about, text = example(path)
        (to / "examples" / f"{path.stem}.md").write_text(text, encoding="utf-8")
        rows.append(f"| [{path.name}]({path.stem}.md) | {about} |\n")
    index = (to / "examples.md").read_text(encoding="utf-8").replace("TABLE\n", "".join(rows))
    (to / "examples" / "index.md").write_text(index, encoding="utf-8")
    (to / "examples.md").unlink()


def build(out: Path, playground: Path | None) -> None:
    """Run Sphinx on the staged sources; a warning is an error."""
    with tempfile.TemporaryDirectory() as folder:
        # MyST-NB writes beside the folder of the pages too, so that one is moved when it is done.
        sources, trees, made = Path(folder, "sources"), Path(folder, "trees"), Path(folder, "html")
        stage(sources)
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-n", "-q", "-j", "auto"]
        command += ["-d", str(trees), *(["-t", "playground"] if playground else []), str(sources), str(made)]
        where = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": where}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(
                f"{(done.stdout + done.stderr).replace(str(sources), '')}\nthe site has warnings, or was not built"
            )
        (made / ".buildinfo").unlink()
        shutil.rmtree(out, ignore_errors=True)
        shutil.move(made, out)
    if playground:
        shutil.copytree(playground, out / "playground", dirs_exist_ok=True)


class Links(HTMLParser):
    """What a page links to and loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Of one element."""
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.add(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "index", "search", "next", "prev"):
            self.loaded.add(given.get("href", ""))
        if "src" in given and tag != "a":
            self.loaded.add(given["src"])


def faults(out: Path) -> Iterator[str]:
    """What is wrong with the links of a built site: a target or anchor that is not there, or a file of another host."""
    made = {path: Links(path.read_text(encoding="utf-8")) for path in out.rglob("*.html")}
    for path, page in made.items():
        if (out / "playground") in path.parents:
            continue
        name = path.relative_to(out)
        for url in page.loaded:
            if urlsplit(url).scheme not in ("", "data") or urlsplit(url).netloc:
                yield f"{name}: loads {url} from another host"
        for url in page.links | page.loaded:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{name}: {url} leads nowhere"
            elif parts.fragment and target in made and unquote(parts.fragment) not in made[target].anchors:
                yield f"{name}: {url} has no such anchor"


def main() -> None:
    """Build and check."""
    parser = argparse.ArgumentParser(prog="python -m tools.build_site", description=__doc__.partition("\n")[0])
    parser.add_argument("out", metavar="OUT", type=Path, help="the folder to write; what is in it is replaced")
    parser.add_argument("--playground", metavar="FOLDER", type=Path, help="the built playground, to stand in the site")
    given = parser.parse_args()
    if given.playground and not (given.playground / "index.html").exists():
        parser.error(f"--playground: there is no index.html in {given.playground}; tools.build_playground writes it")
    out = given.out.resolve()
    if out.exists() and any(out.iterdir()) and not (out / "objects.inv").exists():
        parser.error(f"{out} is neither empty nor a site that was built before")
    build(out, given.playground)
    found = sorted(faults(out))
    if found:
        sys.exit("\n".join(found))
    print(f"{len(list(out.rglob('*.html')))} pages in {out}")


if __name__ == "__main__":
    main()
