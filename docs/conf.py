"""How the documentation is built: `make docs`, and `make doctest` for every example in it."""

import os
import sys
from pathlib import Path

from neuromanifold._version import __version__

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Neuromanifold"
author = "The Neuromanifold founders"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "docstrings",  # before napoleon
    "sphinx.ext.napoleon",
    "sphinx.ext.doctest",
    "sphinxcontrib.bibtex",
    "mathml",
]
root_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Neuromanifold {__version__}"
html_static_path = ["_static"]
html_css_files = ["house.css"]
html_math_renderer = "mathml"

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "imported-members": True}
autodoc_typehints = "signature"
napoleon_numpy_docstring = False

bibtex_bibfiles = ["../src/neuromanifold/references.bib"]
bibtex_reference_style = "author_year"

doctest_global_setup = """
import pathlib, tempfile
_folder = tempfile.TemporaryDirectory()
folder = pathlib.Path(_folder.name)
"""
doctest_global_cleanup = "_folder.cleanup()"
