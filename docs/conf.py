"""The site: `sphinx-build -W --keep-going -b html docs docs/_build`. It needs the extra `docs`."""
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

project, author, release = "Audio-LRP", "the Audio-LRP authors", "0.1.0"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode", "site_parts"]
exclude_patterns = ["_build", "site_parts", "jupyter_execute", ".jupyter_cache"]
source_suffix = {".md": "myst-nb"}

html_theme = "furo"                     # brings its own styles and scripts: nothing is loaded from elsewhere
html_title = "Audio-LRP"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]

myst_heading_anchors = 3                # links such as page.md#a-heading
myst_enable_extensions: list[str] = []  # no dollar signs for formulas: they are written in Unicode

nb_execution_mode = "cache"             # a notebook runs again where its code has changed
nb_execution_in_temp = True             # what it writes is thrown away
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_output_stderr = "remove"
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False   # each rule has `groups`; that is said once
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
python_maximum_signature_line_length = 80
python_use_unqualified_type_names = True
