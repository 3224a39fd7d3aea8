"""The built site must open without a network: a warning for whatever a page would load from elsewhere."""
import pathlib
import re

# What a browser loads by itself when it shows a page. Links that a reader clicks are none of these.
LOADED = re.compile(
    r"""<(?:script|img|iframe|audio|video|source|embed)\b[^>]*\bsrc\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel\s*=\s*["']?(?:stylesheet|preload|icon|modulepreload))[^>]*\bhref\s*=\s*"""
    r"""["']?((?:https?:)?//[^"'\s>]+)""", re.IGNORECASE)
STYLE = re.compile(r"""(?:url\(\s*["']?|@import\s+["'])((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


def loaded(text):
    """The addresses outside the site that a page of HTML or a style sheet would load."""
    return [next(filter(None, found)) for found in LOADED.findall(text)] + STYLE.findall(text)


def check(app, error):
    """Sphinx's event: look at every page and style of the finished site."""
    if error or app.builder.format != "html":
        return
    from sphinx.util import logging
    logger = logging.getLogger(__name__)
    for path in sorted(pathlib.Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for address in loaded(path.read_text(encoding="utf-8", errors="replace")):
                logger.warning("%s loads %s: the site has to open without a network", path.name, address)
