"""Runs the notebooks and writes their outputs into them, in the form that a code-hosting site shows.

    python -m tools.make_notebooks           # all of them
    python -m tools.make_notebooks 6_fold    # notebooks/6_fold.ipynb

A code-hosting site runs no scripts, and JupyterLab shows no SVG of a notebook that is not trusted. So each picture is
written as SVG and as PNG, and the HTML of a running notebook is left out. tests/project/test_notebooks.py holds the
files to this.
"""

import argparse
from pathlib import Path

import nbclient
import nbformat

FOLDER = Path(__file__).parents[1] / "notebooks"

SETUP = """
import base64, io
from PIL import Image
from autograd_lite.pictures.writers.raster import write
from autograd_lite.pictures.picture import Picture
from autograd_lite.pictures.explore import Explorer
from autograd_lite.pictures.quizzes import Quiz
from autograd_lite.pictures.stepper import Stepper

def bundle(self, include=None, exclude=None):
    picture, small = getattr(self, "picture", self), io.BytesIO()
    image = Image.open(io.BytesIO(write(picture, "png", 2.0))).convert("RGB")
    image.quantize(64, dither=Image.Dither.NONE).save(small, "png", optimize=True)
    png = base64.b64encode(small.getvalue()).decode("ascii")
    data = {"text/plain": repr(self), "image/svg+xml": picture.svg, "image/png": png}
    return data, {"image/png": {"width": round(picture.scene.width * picture.scene.scale)}}

for made in (Explorer, Picture, Quiz, Stepper):
    made._repr_mimebundle_, made._repr_html_ = bundle, None
"""


def run(path: Path) -> None:
    """Execute a notebook and write it back."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(SETUP))
    where = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()
    del notebook.cells[0]
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran
        if cell.cell_type == "code" and cell.execution_count:
            cell.execution_count -= 1
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = cell.execution_count
    kernel = notebook.metadata.kernelspec
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(notebook, path)


def main() -> None:
    """Run the notebooks of the command line."""
    known = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    parser = argparse.ArgumentParser(prog="python -m tools.make_notebooks", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all by default; known are {', '.join(known)}")
    names = parser.parse_args().names or known
    if unknown := set(names) - set(known):
        parser.error(f"there is no notebook {', '.join(sorted(unknown))}; known are {', '.join(known)}")
    for name in names:
        run(FOLDER / f"{name}.ipynb")
        print(f"{name}.ipynb")


if __name__ == "__main__":
    main()
