"""The documentation's build: Sphinx, MyST for the pages, numpydoc for the docstrings."""

import re
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.util import logging

import dualdiff

project = "dualdiff"
author = "The dualdiff developers"
copyright = "2026, The dualdiff developers"
release = installed_version("dualdiff")
version = ".".join(release.split(".")[:2])

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = f"dualdiff {release}"

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_filename_map = {"dualdiff.Tensor": "dualdiff.Tensor-class"}  # apart from tensor where case does not count
autodoc_typehints = "none"  # numpydoc's sections give the types
numpydoc_show_class_members = False  # the pages list the members that matter


def warn_of_undocumented(app):
    """Warn of every public name that the reference does not list."""
    page = (Path(app.srcdir) / "reference" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^ +([A-Za-z_]\w*)$", page, flags=re.MULTILINE))
    for name in dualdiff.__all__:
        if name not in listed and not name.startswith("__"):
            logging.getLogger(__name__).warning("dualdiff.%s is public, but reference/index.md does not list it", name)


def setup(app):
    app.connect("builder-inited", warn_of_undocumented)
