"""How the site is built: `make docs`, or `sphinx-build -W --keep-going -n -c docs . out/docs`.

The source folder is the whole checkout, so that pages, notebooks and the documents of the top level
stay where they are and link to each other as they do in a browser of the repository.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import bayesmeta  # noqa: E402

project = "bayesmeta"
author = "The bayesmeta contributors"
project_copyright = "the bayesmeta contributors, Apache-2.0"
version = release = bayesmeta.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "site_directives",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "notebooks/*.ipynb",
    "data/README.md",
    "README.md",
    "MODEL.md",
    "VALIDATION.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "bayesmeta", "build", "dist", "out", "scripts", "tests"]

# Notebooks are shown as they were committed, with the output of full fits.
nb_execution_mode = "off"
myst_enable_extensions = ["deflist", "dollarmath", "fieldlist", "attrs_inline", "html_image"]
myst_heading_anchors = 4

# Docstrings write names of arguments and of code in single backticks.
default_role = "code-or-link"
# Quotes of help are typed into a shell.
smartquotes = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "bayesmeta"
html_scaled_image_link = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_extra_path = ["_top"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "bayesmeta"},
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "show_toc_level": 2,
}
copybutton_prompt_text = "$ "
