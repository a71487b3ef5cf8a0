"""Sphinx configuration; `tox -e docs` builds the site with warnings as errors."""

from __future__ import annotations

import ase_e3dos

project = "ase-e3dos"
author = "The ase-e3dos developers"
project_copyright = "The ase-e3dos developers"
release = version = ase_e3dos.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "crystals/*.md", "examples/*.md"]
templates_path: list[str] = []

# References to other projects would need their inventories from the network; ours are checked.
nitpicky = True
nitpick_ignore_regex = [(r"py:.*", r"(?!ase_e3dos\.).*")]

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
default_role = "code"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"show-inheritance": True}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
autosummary_generate = False

html_theme = "furo"
html_title = f"ase-e3dos {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
