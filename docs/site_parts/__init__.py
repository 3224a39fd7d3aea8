"""What the site adds to Sphinx: pages from outside `docs`, readable docstrings, diagrams, a look for links to
the network.
"""
from . import docstrings, offline, pages, signatures


def setup(app):
    """Connect all parts; called by Sphinx."""
    app.connect("source-read", pages.read)
    app.connect("autodoc-process-docstring", docstrings.process)
    app.connect("autodoc-process-signature", signatures.process)
    app.connect("build-finished", offline.check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
