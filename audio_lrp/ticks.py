"""Round frequencies for an axis that counts bands."""
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
