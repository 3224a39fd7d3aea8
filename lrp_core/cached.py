"""`functools.cached_property` for objects that several threads work on."""
import functools
import typing

T = typing.TypeVar("T")


class cached(functools.cached_property[T]):
    """A property that is computed once for each object.

    Before Python 3.12 `functools.cached_property` has one lock for a whole class: while it is computed for
    one object, no other thread can compute it for another. Without the lock two threads that ask the same
    object at the same time both compute it; so it must be the same each time.
    """

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        found = instance.__dict__[self.attrname] = self.func(instance)
        return found
