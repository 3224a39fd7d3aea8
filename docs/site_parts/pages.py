"""Pages of the repository that lie outside `docs` as pages of the site; links rewritten so that they lead
there.
"""
import os
import pathlib
import posixpath
import re

from . import diagrams

ROOT = pathlib.Path(__file__).parents[2]
# The site's page: where its text lies. The file in `docs` holds no more than a name.
OUTSIDE = {"architecture": "ARCHITECTURE.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md",
           "exercises": "audio_lrp/exercises/files/README.md", "hundred-lines": "examples/README.md",
           "results": "benchmarks/RESULTS.md", "model-card": "audio_lrp/models/MODEL_CARD.md",
           "lesson-card": "audio_lrp/models/LESSON_CARD.md"}
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def read(app, docname, source):
    """Sphinx's event: the text of a page before it is parsed."""
    origin = OUTSIDE.get(docname)
    if origin:
        source[0] = (ROOT / origin).read_text(encoding="utf-8")
    source[0] = diagrams.drawn(relinked(source[0], origin or f"docs/{docname}.md", docname))


def relinked(text, origin, docname):
    """A page's text with links that lead from the site's page `docname`, where they led from `origin`."""
    pages = {path: f"docs/{name}.md" for name, path in (*OUTSIDE.items(), ("index", "README.md"))}
    folder = posixpath.dirname(f"docs/{docname}")

    def link(found):
        path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), found[1]))
        path = os.path.relpath(pages.get(path, path), folder).replace(os.sep, "/")
        return f"]({path}{found[2] or ''})"
    return LINK.sub(link, text)
