"""A property that is computed once for each object, on many threads."""
import threading

from lrp_core.cached import cached


class Slow:
    def __init__(self, meet):
        self.meet, self.calls = meet, 0

    @cached
    def found(self):
        """Waits for another object's."""
        self.calls += 1
        self.meet.wait(10)
        return object()


def test_two_objects_compute_theirs_at_the_same_time_and_once():
    """With one lock for the class, as functools had before Python 3.12, the two would never meet."""
    meet = threading.Barrier(2)
    both = [Slow(meet), Slow(meet)]
    threads = [threading.Thread(target=lambda one=one: one.found) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not meet.broken and both[0].found is both[0].found is not both[1].found
    assert [one.calls for one in both] == [1, 1] and isinstance(Slow.found, cached)
