"""SciPy's special functions, imported when one is first computed: loading them takes a third of a second."""
import importlib


def _late(name):
    def function(x, **options):
        return getattr(importlib.import_module("scipy.special"), name)(x, **options)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"scipy.special.{name}(x)."
    return function


erf, expit, log_softmax, ndtr = map(_late, ("erf", "expit", "log_softmax", "ndtr"))
