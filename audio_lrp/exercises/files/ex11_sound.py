"""11. From the picture down to the sound

The network looks at a picture of mel bands. A mel band is a weighted sum of the powers at many
frequencies:

    mel[t, m] = Σ_k P[t, k] · M[k, m]            P: power of the cell at moment t and frequency k

It is linear, without a bias and without negative numbers: LRP-0 carries relevance from bands to
cells. Then a cell of the spectrogram is something one can hear. Keep the fewest cells that carry
half of the positive relevance, silence all others, go back to samples: this is what the network
hears.

Fill the gaps. Then run: python check.py 11, and when it is solved: python ex11_sound.py, which
writes siren_relevant.wav beside this file. Listen to it.
"""
import pathlib

import numpy as np


def to_cells(P, M, R):
    """LRP-0 of the mel bands: the relevance of each cell [moments, frequencies].

    P [moments, frequencies] power, M [frequencies, bands], R [moments, bands] relevance of the bands.
    """
    mel = P @ M
    s = np.divide(R, mel, out=np.zeros_like(mel), where=mel != 0)
    return ...  # YOUR CODE


def strongest(R, share):
    """The fewest cells that carry `share` of the positive relevance or more: True for these, else False."""
    order = np.argsort(-R, axis=None)  # the places in R.ravel(), the largest relevance first
    carried = np.cumsum(np.maximum(R.ravel()[order], 0))  # what the first one, two, three, ... carry
    count = ...  # YOUR CODE: how many are needed
    mask = np.zeros(R.size, bool)
    mask[order[:count]] = True
    return mask.reshape(R.shape)


def main():
    """Explain the embedded siren down to the bands, go on with your functions, write what is left to hear."""
    import soundfile

    import features
    import lrp_core
    from audio_lrp import EMBEDDED_CLIP, EMBEDDED_MODEL

    front_end = features.FrontEnd.study()
    network = front_end.before(lrp_core.load(EMBEDDED_MODEL))
    clip = front_end.open(EMBEDDED_CLIP)
    e = lrp_core.explain(network, clip.sound, "preset_a_flat", layers=True, engine="numpy")
    M = next(node.layer.kernel for node in network.nodes if node.name == "sound/mel")
    cells = to_cells(np.abs(clip.spectrum) ** 2, M, e.layers["sound/mel"])
    mask = strongest(cells, 0.5)
    sound = clip.cells.inverse(clip.spectrum * mask, len(clip.sound))
    path = pathlib.Path(__file__).with_name("siren_relevant.wav")
    soundfile.write(path, sound / np.abs(sound).max() * 0.9, front_end.sample_rate)
    print(f"{mask.sum()} of {mask.size} cells carry half of the relevance for the siren: {path}")


if __name__ == "__main__":
    main()


# Hint: the power is x and M is W, in the two steps of exercise 1; there are many moments, so R has
# a row for each, and the way back is `s @ M.T`. For the count: np.searchsorted(carried, wanted) is
# the first place where carried >= wanted.
