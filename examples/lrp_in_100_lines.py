"""Why does the network hear a siren? Layer-wise relevance propagation (LRP) in 100 lines of NumPy.

    python lrp_in_100_lines.py [epsilon | preset_a_flat] [picture.npy]

The network turns the picture of a sound, x [64, 64, 3], into a score for each class. LRP hands the winner's
score R back, layer by layer, until each pixel holds its part. A layer with weights takes two steps:

    s = R / z             relevance for each unit of the output,  z = x W + b
    R_in = x · (s Wᵀ)     what each input put in, x_i W_ij, times what a unit of it is worth

A rule puts x', W' and b' in place of x, W and b. What b' takes reaches no input: the ledger shows it.
"""
import json
import pathlib
import sys

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MODEL = HERE.parent / "audio_lrp" / "models" / "urban_sounds.npz"

# ---- A convolution is a dense layer on each 3x3 window: one product for each of its nine places.
def linear(x, W):
    if W.ndim == 2:
        return x @ W
    h, w = x.shape[0] - 2, x.shape[1] - 2
    # Not @: BLAS may round equal windows differently, and a max-pool would find a winner among equals.
    return sum(np.einsum("hwi,io->hwo", x[i:i + h, j:j + w], W[i, j]) for i, j in np.ndindex(3, 3))

def transposed(s, W, shape):
    if W.ndim == 2:
        return s @ W.T
    back, (h, w, _) = np.zeros(shape), s.shape
    for i, j in np.ndindex(3, 3):
        back[i:i + h, j:j + w] += s @ W[i, j].T  # an output gives to every input that its window saw
    return back

# ---- A max-pool passes on the largest of 3x3 pixels, so that pixel gets all of R; among equals, the first.
def pool(x):
    n = -(-len(x) // 2)  # windows lie two apart; padding, which never wins, completes them
    pad = ((2 * n + 1 - len(x)) // 2, (2 * n + 2 - len(x)) // 2)
    x = np.pad(x, (pad, pad, (0, 0)), constant_values=-np.inf)
    places = np.stack([x[i:i + 2 * n:2, j:j + 2 * n:2] for i, j in np.ndindex(3, 3)])
    return places.max(0), places.argmax(0), pad[0]

def to_winners(x, R):
    (_, winner, before), n = pool(x), len(R)
    back = np.zeros((2 * n + 1, 2 * n + 1, x.shape[2]))
    for place, (i, j) in enumerate(np.ndindex(3, 3)):
        back[i:i + 2 * n:2, j:j + 2 * n:2] += R * (winner == place)  # some win more than once
    return back[before:before + len(x), before:before + len(x)]

# ---- The rules as (x', W', b', ε); a preset names one for the first layer, convolutions, dense layers.
RULES = {"epsilon": lambda x, W, b: (x, W, b, 1e-7),                      # what each input contributed
         "epsilon 0.1": lambda x, W, b: (x, W, b, 0.1),                   # weak contributions fade in ε
         "alpha1_beta0": lambda x, W, b: (x, np.maximum(W, 0), b, 0),     # those in favour alone; x >= 0 here
         "flat": lambda x, W, b: (np.ones_like(x), np.ones_like(W), 0 * b, 0)}         # all inputs alike
PRESETS = {"epsilon": ("epsilon",) * 3, "preset_a_flat": ("flat", "alpha1_beta0", "epsilon 0.1")}

def share(x, W, b, R, rule):
    x, W, b, ε = RULES[rule](x, W, b)
    z = linear(x, W) + b
    stable = z + np.where(z >= 0, ε, -ε)
    s = np.divide(R, stable, out=np.zeros_like(z), where=stable != 0)  # no z: nothing to share by
    return x * transposed(s, W, x.shape), ((s * b).sum(), (s * (stable - z)).sum())

# ---- Forward, keeping the input of each layer; then back. The softmax at the end is not explained.
STEPS = {"Conv2D": lambda x, W, b: linear(x, W) + b, "Dense": lambda x, W, b: x @ W + b, "Flatten": np.ravel,
         "ReLU": lambda x: np.maximum(x, 0), "MaxPool2D": lambda x: pool(x)[0], "Dropout": lambda x: x}
def explain(model, x, preset="preset_a_flat"):
    layers, inputs = json.loads(str(model["network"]))["nodes"][:-1], []
    weights = {n["name"]: [model[f"{n['name']}/{a}"].astype(float) for a in n["arrays"]] for n in layers}
    for node in layers:
        inputs.append(x)
        x = STEPS[node["type"]](x, *weights[node["name"]])
    scores, R, ledger = x, np.where(np.arange(len(x)) == x.argmax(), x, 0), []
    for node, x in zip(reversed(layers), reversed(inputs)):
        if node["arrays"]:
            rule = PRESETS[preset][0 if node is layers[0] else 1 if node["type"] == "Conv2D" else 2]
            R_in, taken = share(x, *weights[node["name"]], R, rule)
            ledger.append((node["name"], rule, R.sum(), R_in.sum(), *taken))
            R = R_in
        else:  # what has no weights gives relevance back to where the numbers came from
            R = to_winners(x, R) if node["type"] == "MaxPool2D" else R.reshape(x.shape)
    return R, scores, ledger

if __name__ == "__main__":
    preset = sys.argv[1] if len(sys.argv) > 1 else "preset_a_flat"
    path = sys.argv[2] if len(sys.argv) > 2 else HERE / "siren.npy"
    model = np.load(MODEL)
    R, scores, ledger = explain(model, np.load(path).astype(float), preset)
    for name, score in zip(json.loads(str(model["network"]))["class_names"], scores):
        print(f"{name:17}{score:7.2f}", "<- explained" if score == scores.max() else "")
    print(f"\n{'layer':8}{'rule':14}{'R out':>8}{'R in':>8}{'bias':>8}{'ε':>8}{'residual':>10}")
    for name, rule, out, into, *taken in ledger:  # R out - R in = what was taken, to rounding
        numbers = "".join(f"{number:8.4f}" for number in (out, into, *taken))
        print(f"{name:8}{rule:14}{numbers}{out - into - sum(taken):10.0e}")
    print(f"\nThe pixels' relevance adds up to {R.sum():.4f}. Rows are pitch, columns time, @ is the most:")
    rows = R.sum(-1).reshape(32, 2, 64).sum(1)  # a character is twice as high as wide
    print("\n".join("".join(" .:-=+*#%@"[int(9 * max(v, 0) / rows.max())] for v in row) for row in rows))
