"""The documentation's build: Sphinx, MyST for the pages, MyST-NB for the notebooks, numpydoc for the docstrings."""

import re
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.util import logging

import dualdiff

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "dualdiff"
author = "The dualdiff developers"
copyright = "2026, The dualdiff developers"
release = installed_version("dualdiff")
version = ".".join(release.split(".")[:2])

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax as files of the site, no network
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_theme = "furo"
html_title = "dualdiff"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the tests run every block and every cell, and hold the outputs against those stored here
nb_merge_streams = True
copybutton_selector = "div.highlight-python pre, div.highlight-ipython3 pre, div.highlight-console pre"
copybutton_prompt_text = "$ "

autosummary_generate = True
autosummary_filename_map = {"dualdiff.Tensor": "dualdiff.Tensor-class"}  # apart from tensor where case does not count
autodoc_typehints = "none"  # numpydoc's sections give the types
numpydoc_show_class_members = False  # the pages list the members that matter

log = logging.getLogger(__name__)


def written(path, text):
    """Write a file, but only if it changes: Sphinx reads again what is newer."""
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def take_notebooks(app):
    """Make tutorials of the notebooks, their links turned to where the pages stand from here."""
    kept = set()
    for notebook in sorted((HERE.parent / "notebooks").glob("*.ipynb")):
        page = HERE / "tutorials" / notebook.name
        written(page, notebook.read_text(encoding="utf-8").replace("](../docs/", "](../"))
        kept.add(page)
    for page in set((HERE / "tutorials").glob("*.ipynb")) - kept:
        page.unlink()


def draw_pictures(app):
    """Draw the pictures of the pages."""
    import pictures

    pictures.draw(HERE / "_static" / "pictures")


def turn_links(app, name, source):
    """Let links to a notebook, as they stand in the repository, lead to the tutorial made of it."""
    source[0] = re.sub(r"\]\((?:\.\./)+notebooks/", f"]({'../' * name.count('/')}tutorials/", source[0])


def list_pages(app, name, source):
    """Write out the patterns in a list of pages: each page once, where it first matches; Sphinx warns of a pattern in vain."""
    folder, listed = (HERE / name).parent, {(HERE / name).name}

    def pages(found):
        paths = [p for p in sorted(folder.glob(found[0].strip())) if p.suffix in (".md", ".ipynb")]
        names = dict.fromkeys(p.relative_to(folder).with_suffix("").as_posix() for p in paths)
        new = [page for page in names if page not in listed]
        listed.update(new)
        return "".join(page + "\n" for page in new)

    if ":glob:" in source[0]:
        listed.update(re.findall(r"^[\w/-]+$", source[0], flags=re.MULTILINE))
        source[0] = re.sub(r"^[\w/-]*\*\n", pages, source[0], flags=re.MULTILINE)


def warn_of_undocumented(app):
    """Warn of every public name that the reference does not list."""
    pages = [page.read_text(encoding="utf-8") for page in (HERE / "reference").glob("*.md")]
    listed = {name for page in pages for name in re.findall(r"^ +([A-Za-z_]\w*)$", page, flags=re.MULTILINE)}
    for name in dualdiff.__all__:
        if name not in listed and not name.startswith("__"):
            log.warning("dualdiff.%s is public, but no page of reference/ lists it", name)


def warn_of_remote(app, exception):
    """Warn of every script, stylesheet, font and picture that the site would fetch from elsewhere."""
    if exception is not None or app.builder.format != "html":
        return
    remote = re.compile(
        r"""<(?:script|img|iframe|source|embed|object)\b[^>]*\b(?:src|data)=["'](?:https?:)?//[^"']+"""
        r"""|<link\b(?![^>]*rel=["'](?:canonical|alternate))[^>]*\bhref=["'](?:https?:)?//[^"']+"""
        r"""|@import\s+(?:url\()?["']?(?:https?:)?//[^"')]+|\burl\(["']?(?:https?:)?//[^"')]+"""
    )
    out = Path(app.outdir)
    for page in [*out.rglob("*.html"), *out.rglob("*.css")]:
        for found in remote.findall(page.read_text(encoding="utf-8")):
            log.warning("%s fetches from the network: %s", page.relative_to(out), found)


def setup(app):
    app.connect("builder-inited", take_notebooks)
    app.connect("builder-inited", draw_pictures)
    app.connect("builder-inited", warn_of_undocumented)
    app.connect("source-read", turn_links)
    app.connect("source-read", list_pages)
    app.connect("build-finished", warn_of_remote)
