"""Signatures with the names of types instead of what they stand for: ArrayLike alone takes five lines."""
import functools


def process(app, what, name, obj, options, signature, returned):
    """Sphinx's event: the signature of a function or class, and what it returns, as text."""
    return named(signature), named(returned)


def named(text):
    """A signature's text with names for the unions that have one."""
    for long, short in expansions() if text else ():
        text = text.replace(long, short)
    return text


@functools.cache
def expansions():
    """[(the text of a type, its name)], as Sphinx writes types; the longest first."""
    import numpy.typing as npt
    from sphinx.util.typing import stringify_annotation

    from lrp_core.explain import Engine, Precision, Rules, Targets
    types = {"ArrayLike": npt.ArrayLike, "Rules": Rules, "Targets": Targets, "Engine": Engine,
             "Precision": Precision}
    found = {(stringify_annotation(kind, mode), name) for name, kind in types.items()
             for mode in ("smart", "fully-qualified", "fully-qualified-except-typing")}
    return sorted(found, key=lambda pair: -len(pair[0]))
