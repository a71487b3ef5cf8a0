"""Sphinx configuration; `tox -e docs` builds the site with warnings as errors."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import ase_e3dos

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the notebooks, too

project = "ase-e3dos"
author = "The ase-e3dos developers"
project_copyright = "The ase-e3dos developers"
release = version = ase_e3dos.__version__

extensions = [
    "generated",
    "mathml",
    "myst_nb",
    "sphinx.ext.autodoc",
    "numpydoc",
]
exclude_patterns = ["_build", "_extensions", "crystals/*.md", "examples/*.md"]
templates_path: list[str] = []

# References to other projects would need their inventories from the network; ours are checked.
nitpicky = True
nitpick_ignore = [
    ("py:class", "ase_e3dos.analysis.crossings.Bounds"),  # an alias of a type
    ("py:class", "ase_e3dos.structures.checked_sites.CheckedSites"),  # a base, not for users
]
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

# Notebooks are kept without outputs and executed here; an exception in one ends the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_merge_streams = True
nb_output_stderr = "remove"  # paths of the machine; spectra show their warnings themselves
suppress_warnings = ["mystnb.unknown_mime_type"]

html_math_renderer = "mathml"  # the site needs no network
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"ase-e3dos {release}"
html_theme_options = {"navigation_with_keys": True}
html_show_sphinx = False
