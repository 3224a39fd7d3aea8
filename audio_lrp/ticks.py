"""Round numbers for axes: frequencies for one that counts bands, moments of a recording."""
import math

import numpy as np

HERTZ = (60, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)


def hertz_label(hertz):
    """"500", "4k"."""
    return f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}"


def hertz_ticks(hertz, most=7):
    """[(height, label)] for an axis that counts bands whose centres are `hertz`, at round frequencies."""
    inside = [one for one in HERTZ if hertz[0] <= one <= hertz[-1]]
    places = np.interp(inside, hertz, np.arange(len(hertz)) + 0.5)
    found, last = [], -np.inf
    for place, one in zip(places, inside):  # low ones lie close together where bands are linear
        if place - last >= len(hertz) / (2 * most):
            found.append((float(place), hertz_label(one)))
            last = place
    return found


def digits_for(hop):
    """How many digits after the point tell moments apart that are `hop` seconds from each other, 1 to 3."""
    return min(max(math.ceil(-math.log10(hop)), 1), 3)


def clock(seconds, digits=1):
    """"1:02:03.5" or "2:03.5"."""
    minutes, rest = divmod(round(seconds, digits), 60)
    hours, minutes = divmod(int(minutes), 60)
    rest = f"{rest:0{3 + digits}.{digits}f}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def round_times(start, end, most=8):
    """Round moments between two, at most about `most`."""
    steps = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200,
             14_400)
    step = next((step for step in steps if (end - start) / step <= most), 86_400)
    return np.arange(np.ceil(start / step), end / step + 1e-9) * step
