"""How any file is damaged, byte by byte; `models` and `onnx` keep the structure, so that the damage lies
deep.
"""
import numpy as np

NUMBERS = (0, 1, -1, 2, 3, 7, 255, 256, 65_535, 65_536, 65_537, 2**24, 2**31 - 1, 2**31, 2**32, 2**63 - 1,
           2**63, 10**9, 10**18, 10**30,
           0.5, -0.0, 1e-45, 1e38, 1e39, 1e308, float("nan"), float("inf"), float("-inf"), True, False, None)
TEXTS = ("", "input", "a" * 300, "\x1b[2J", "../../etc/passwd", "\ud800", "\u202e", "a/b", "kernel", "same",
         "valid", "Conv2D", "Reshape", "Softmax")
WEIGHTS = (0, -0.0, 1, -1, 1e-45, -1e-40, 1e-30, 1e10, 1e20, 3e38, -3e38)


def pick(rng, things):
    """One of some things."""
    return things[int(rng.integers(len(things)))]


def altered(rng, data, dtype):
    """The bytes of an array of numbers with some of them changed, to what such arrays hold or hardly ever
    hold.
    """
    numbers = np.frombuffer(data[:len(data) // np.dtype(dtype).itemsize * np.dtype(dtype).itemsize],
                            dtype).copy()
    if numbers.size:
        at = rng.integers(0, numbers.size, rng.integers(1, numbers.size + 1))
        with np.errstate(over="ignore"):
            numbers[at] = pick(rng, WEIGHTS) if rng.random() < 0.7 else rng.standard_normal(at.size)
    return numbers.tobytes()


def damaged(rng, data, others):
    """The bytes with one to four places changed."""
    for _ in range(rng.integers(1, 5)):
        data = pick(rng, BYTES)(rng, bytes(data), others)
    return data


def _place(rng, data):
    """A piece of the data: (begin, end)."""
    begin = int(rng.integers(len(data) + 1))
    return begin, min(len(data), begin + int(2 ** rng.uniform(0, 8)))


def _flip(rng, data, others):
    data = bytearray(data)
    for at in rng.integers(0, max(len(data), 1), rng.integers(1, 9)) if data else ():
        data[at] ^= 1 << int(rng.integers(8))
    return data


def _overwrite(rng, data, others):
    begin, end = _place(rng, data)
    return data[:begin] + rng.integers(0, 256, end - begin, np.uint8).tobytes() + data[end:]


def _insert(rng, data, others):
    begin, end = _place(rng, data)
    return data[:begin] + rng.integers(0, 256, end - begin, np.uint8).tobytes() + data[begin:]


def _remove(rng, data, others):
    begin, end = _place(rng, data)
    return data[:begin] + data[end:]


def _truncate(rng, data, others):
    return data[:int(rng.integers(len(data) + 1))]


def _repeat(rng, data, others):
    begin, end = _place(rng, data)
    return data[:end] + data[begin:end] * int(rng.integers(1, 9)) + data[end:]


def _swap(rng, data, others):
    a, b, c, d = sorted(int(n) for n in rng.integers(0, len(data) + 1, 4))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def _splice(rng, data, others):
    begin, end = _place(rng, data)
    other = pick(rng, others)
    first, last = _place(rng, other)
    return data[:begin] + other[first:last] + data[end:]


def _number(rng, data, others):
    """A whole number in place of another, as headers hold them."""
    number, size = int(pick(rng, [n for n in NUMBERS if isinstance(n, int)])), int(pick(rng, (1, 2, 4, 8)))
    at = int(rng.integers(len(data) + 1))
    return data[:at] + (number % 256 ** size).to_bytes(size, pick(rng, ("little", "big"))) + data[at + size:]


BYTES = (_flip, _flip, _overwrite, _insert, _remove, _truncate, _repeat, _swap, _splice, _number)


def sound(rng, data, others):
    """A sound with a number in its headers changed, or any bytes."""
    for _ in range(rng.integers(1, 4)):
        if rng.random() < 0.5:
            head, rest = data[:200], data[200:]
            data = bytes(_number(rng, head, others))[:200] + rest
        else:
            data = bytes(damaged(rng, data, others))
    return data
