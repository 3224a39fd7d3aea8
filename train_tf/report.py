"""What a training run leaves for people: learning curves, a confusion matrix, a table per class, a model
card.
"""
import matplotlib.figure
import numpy as np

from .augment import OUTLIERS


def confusion(truth, predicted, classes):
    """counts[i, j]: clips of class i that were taken for class j."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (truth, predicted), 1)
    return counts


def learning_curves(history, path):
    """Draw loss and accuracies over the epochs."""
    figure = matplotlib.figure.Figure(figsize=(10, 4), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    epochs = np.arange(1, len(history) + 1)
    loss.plot(epochs, [epoch["loss"] for epoch in history], color="tab:blue")
    loss.set(xlabel="epoch", ylabel="training loss (with mixtures and label smoothing)")
    accuracy.plot(epochs, [epoch["accuracy"] for epoch in history], color="tab:blue",
                  label="training (mixed, augmented)")
    if "watched_accuracy" in history[0]:
        accuracy.plot(epochs, [epoch["watched_accuracy"] for epoch in history], color="tab:orange",
                      label="watched fold")
    accuracy.set(xlabel="epoch", ylabel="accuracy", ylim=(0, 1))
    accuracy.legend()
    figure.savefig(path, dpi=120)


def confusion_matrix(counts, names, path):
    """Draw the confusion matrix, rows scaled to each class's own clips, counts written in."""
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = matplotlib.figure.Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(share, cmap="cividis", vmin=0, vmax=1)
    axes.set(xticks=range(len(names)), yticks=range(len(names)), yticklabels=names, xlabel="taken for",
             ylabel="is")
    axes.set_xticklabels(names, rotation=45, ha="right")
    for row, column in np.argwhere(counts):
        axes.text(column, row, counts[row, column], ha="center", va="center",
                  color="black" if share[row, column] > 0.5 else "white")
    figure.colorbar(picture, label="share of the class's clips")
    figure.savefig(path, dpi=120)


def per_class(counts, names):
    """Recall and precision of each class, as the rows of a Markdown table."""
    rows = ["| class | clips | recall | precision |", "|---|---|---|---|"]
    for number, name in enumerate(names):
        clips, taken, right = counts[number].sum(), counts[:, number].sum(), counts[number, number]
        rows.append(f"| {name} | {clips} | {right / max(clips, 1):.2f} | {right / max(taken, 1):.2f} |")
    return "\n".join(rows)


def reliability_diagram(bins, error, path):
    """Draw how often decisions are right against how sure they sound; bins: (clips, confidence, accuracy) by
    confidence.
    """
    count, confidence, accuracy = bins
    figure = matplotlib.figure.Figure(figsize=(5.5, 5.5), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    filled = count > 0
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", label="what it says is what it is")
    axes.plot(confidence[filled], accuracy[filled], marker="o", color="tab:blue",
              label=f"held-out clips (error {error:.1%})")
    axes.set(ylabel="share that is right", ylim=(0, 1), xlim=(0, 1))
    axes.legend()
    below.bar((np.arange(len(count)) + 0.5) / len(count), count, 0.9 / len(count), color="tab:blue")
    below.set(xlabel="probability of the winning class", ylabel="clips")
    figure.savefig(path, dpi=120)


def crossvalidation(summary, names, command):
    """The page of a cross-validation, in Markdown: folds, cuts, the leaking split, classes."""
    def row(title, accuracy, error):
        return (f"| {title} | {accuracy['full']:.1%} | {accuracy['11k']:.1%} | {accuracy['8k']:.1%} | "
                f"{error:.1%} |")
    leaking, folds = summary["leaking"], summary["folds"]
    lines = [row(f"fold {name.removeprefix('fold').lstrip('0')} ({facts['clips']} clips)", facts["accuracy"],
                 facts["calibration_error"]["after"]) for name, facts in folds.items()]
    lines.append(row(f"**mean of {len(folds)} folds**", summary["mean"], summary["calibration_error"]))
    spread = summary["spread"]
    lines.append(f"| spread (standard deviation) | {spread['full']:.1%} | {spread['11k']:.1%} | "
                 f"{spread['8k']:.1%} | |")
    memory = ""
    if leaking:
        memory = ("The random split has slices of one recording on both sides, as the study's had: what it "
                  "measures is memory of "
                  "recordings.\n\n")
        lines.append(row("random split, **leaking**", leaking["accuracy"],
                         leaking["calibration_error"]["after"]))
    return (f"""# Cross-validation over the data set's own folds

Written by `{command}`. Each network is trained on eight folds; its temperature is fitted on the ninth; the fold that
is named was never looked at. Accuracy with all bands, and with those above 11 kHz and above 8 kHz taken away; the
calibration error is the expected one over 15 equal bins, in the row of the mean that of all folds together.

| tested on | accuracy | cut at 11 kHz | cut at 8 kHz | calibration error |
|---|---|---|---|---|
{chr(10).join(lines)}

{memory}{per_class(np.array(summary["confusion"]), names)}
""")


def model_card(facts, counts, names):
    """The card that travels with the weights, in Markdown."""
    accuracy, error, half = facts["accuracy"], facts["calibration_error"], facts["float16"]
    tested = (f"fold {int(facts['name'][4:])}" if facts["name"].startswith("fold")
              else "a random fifth of the clips (leaking)")
    others = "of the other folds" if facts["name"].startswith("fold") else "of the same recordings"
    calibrated = (f"{facts['validation_clips']:,} others calibrated the probabilities"
                  if facts["validation_clips"] else
                  "the temperature is that of\n  a network trained alike on all but one of these folds and "
                  "calibrated by that one")
    return (f"""# Model card: urban sounds, 64x64

A convolutional network that names one of ten urban sounds in a four-second clip, seen as a mel-spectrogram image.
Written by `{facts["command"]}`.

* **Network**: the study's CNN (Colussi and Ntalampiras 2021, arXiv 2111.10235), {facts["parameters"]:,} parameters.
* **Data**: {facts["data"]}.
* **Protocol**: {tested} was held out ({facts["clips"]:,} clips) and nothing was chosen by it. Trained on
  {facts["training_clips"]:,} clips {others} for {facts["epochs"]} epochs; {calibrated}.
* **Held-out accuracy**: **{accuracy["full"]:.1%}**; {accuracy["11k"]:.1%} without the bands above 11 kHz, {accuracy["8k"]:.1%}
  without those above 8 kHz. One fold is one sample: other folds of this data set differ by several points.
* **Probabilities**: calibrated by a temperature of {facts["temperature"]:.3f}, which the last layer's weights contain. Expected
  calibration error on the held-out clips: {error["after"]:.1%} ({error["before"]:.1%} before).
* **Training**: Muon and AdamW, cosine schedule from {facts["rate"]:g}, batches of {facts["batch"]}, label smoothing 0.1, dropout,
  mixup; images transposed, played faster or slower, equalised, their range widened or narrowed, shifted in time, ended elsewhere
  or repeated, masked in time and frequency, raised by noise, their top bands cut; {OUTLIERS:.0%} more images of no class, whose label
  is all classes alike. Computed in {facts["precision"]}, seed {facts["seed"]}.
* **Storage**: {"float16" if half["stored"] else "float32"}. Rounding the parameters to float16 moves a held-out clip's logits by
  at most {half["largest_change"]:.2e} and changes {half["other_decisions"]} decisions.
* **Licence and credit**: {facts["licence"]}
* **Limits**: it knows ten classes. Silence, noise and sounds it was never taught mostly get a low probability, but not
  always. Clips are cut to four seconds; shorter ones are played twice and followed by digital silence. City recordings of
  one archive are not every city.

{per_class(counts, names)}
""")
