"""What Sphinx reads: `python -m tools.build_site` puts the pages beside this file and runs it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import mathematics
from sphinx.ext.napoleon import Config, GoogleDocstring

import autograd_lite
from tools.site_api import public_names
from tools.site_docstrings import Converter

# The reference calls the package what every program calls it.
sys.modules["ag"] = autograd_lite
sys.modules |= {f"ag.{name}": getattr(autograd_lite, name) for name in autograd_lite._MODULES}

project = "autograd_lite"
author = "The autograd_lite developers"
copyright = author
release = version = autograd_lite.__version__

extensions = ["sphinx.ext.autodoc", "myst_nb", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"autograd_lite {release}"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
html_math_renderer = "mathml"
html_theme_options = {"navigation_with_keys": True}
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"
exclude_patterns = ["README.md"]
nitpicky = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

myst_enable_extensions = ["dollarmath", "colon_fence", "attrs_inline"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
copybutton_exclude = ".linenos, .gp, .go"


SECTIONS = Config(
    napoleon_google_docstring=True,
    napoleon_custom_sections=[(name, "params_style") for name in ("Args", "Attributes", "Raises")],
)
convert = Converter([name for _, name, _ in public_names()])


def docstring(app, what, name, thing, options, lines):
    """Called with the lines of each docstring, to be changed in place.

    Napoleon as an extension takes the words before a colon in the docstring of a property for a type.
    """
    lines[:] = GoogleDocstring(convert(lines), SECTIONS, what="function").lines()


def setup(app):
    """Called by Sphinx."""
    mathematics.setup(app)
    app.connect("autodoc-process-docstring", docstring)
