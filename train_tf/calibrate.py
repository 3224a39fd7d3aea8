"""Do the probabilities mean what they say? Temperature scaling and the calibration error (Guo et al. 2017).
"""
import numpy as np
import scipy.optimize

BINS = 15


def log_softmax(logits):
    """log(exp(z_c) / Σ_j exp(z_j)) for each row."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def fit_temperature(logits, truth):
    """The T > 0 under which softmax(logits / T) finds the true classes likeliest.

        T = argmin_T  -Σ_n log softmax(z_n / T)[truth_n]

    logits: [N, classes]; truth: [N] class numbers. One number cannot change a decision, only how sure it
    sounds.
    """
    def loss(log_temperature):
        return -log_softmax(logits / np.exp(log_temperature))[np.arange(len(truth)), truth].mean()
    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)),
                                                       method="bounded").x))


def reliability(probabilities, truth, bins=BINS):
    """(clips, mean confidence, accuracy) [bins] of the decisions whose confidence falls into equal parts of
    [0, 1].
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    shared = np.maximum(count, 1)
    return count, np.bincount(place, confidence, bins) / shared, np.bincount(place, right, bins) / shared


def calibration_error(probabilities, truth, bins=BINS):
    """The expected calibration error: Σ_b n_b/N · |accuracy_b - confidence_b|."""
    count, confidence, accuracy = reliability(probabilities, truth, bins)
    return float((count * np.abs(accuracy - confidence)).sum() / count.sum())
