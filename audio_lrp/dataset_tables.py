"""The tables of a data-set run: one line per clip, the clips worth a look, and the counts."""
import json

from lrp_core.files import replacing

from .tables import csv_table, markdown_text

DECIMALS = "{:.6g}".format


def class_name(settings, number):
    """A class's name, empty for None."""
    return "" if number is None else settings["classes"][number]


def said(settings):
    """What the network says of a clip, as tables name it: "probability" or "score"."""
    return "score" if settings.get("reads") == "scores" else "probability"


def index_columns(settings):
    """The columns of index.csv; `number` is the clip's row in the arrays."""
    return ("number", "path", "label", "predicted", said(settings), "correct", "target", "logit",
            *(f"relevance_{rules}" for rules in settings["rules"]), "duration_s", "heard_s", "sample_rate",
            "warnings")


def index_row(row, settings):
    """A clip's line in index.csv; `correct` is 1 or 0, empty without a label."""
    correct = "" if row["label"] is None else int(row["label"] == row["predicted"])
    return (row["number"], row["path"], class_name(settings, row["label"]),
            class_name(settings, row["predicted"]),
            DECIMALS(row["probability"]), correct, class_name(settings, row["target"]),
            DECIMALS(row["logit"]),
            *(DECIMALS(row[f"relevance_{rules}"]) for rules in settings["rules"]),
            *(DECIMALS(row[name]) for name in ("duration_s", "heard_s", "sample_rate")),
            "; ".join(row["warnings"]))


def write_errors(path, settings, records):
    """The clips that could not be read, and why; returns how many there are."""
    count = 0
    with csv_table(path, ("number", "path", "label", "error")) as write:
        for record in records:
            for row in record["errors"]:
                write((row["number"], row["path"], class_name(settings, row["label"]), row["error"]))
                count += 1
    return count


def write_typical(path, settings, lists):
    """The most typical clips. lists: {(class number, outcome, why): [(value, row)], the best first}."""
    with csv_table(path, ("class", "outcome", "why", "rank", "value", "number", "path")) as write:
        for (number, outcome, why), best in sorted(lists.items()):
            for rank, (value, row) in enumerate(best, start=1):
                write((class_name(settings, number), outcome, why, rank, DECIMALS(value), row["number"],
                       row["path"]))


def write_confused(path, settings, confused):
    """The wrong decisions that the network was surest of. confused: [(probability, row)], the surest first.
    """
    with csv_table(path, ("rank", "label", "predicted", said(settings), "number", "path")) as write:
        for rank, (probability, row) in enumerate(confused, start=1):
            write((rank, class_name(settings, row["label"]), class_name(settings, row["predicted"]),
                   DECIMALS(probability),
                   row["number"], row["path"]))


def summary_of(settings, counts, unlabelled, errors, cut):
    """The run in figures, as JSON values.

    counts: [classes, classes] int, labelled clips by label (rows) and prediction (columns). unlabelled:
    [classes] int, the others by prediction. errors: how many could not be read. cut: how many are longer than
    what the network hears.
    """
    right, labelled = int(counts.trace()), int(counts.sum())
    by_class = {name: {"labelled": int(counts[number].sum()), "right": int(counts[number, number]),
                       "heard_without_label": int(unlabelled[number])} for number,
                       name in enumerate(settings["classes"])}
    return {"clips": settings["clips"], "explained": labelled + int(unlabelled.sum()), "errors": errors,
            "cut": cut,
            "labelled": labelled, "right": right, "accuracy": right / labelled if labelled else None,
            "classes": by_class,
            "confusion": {"rows": "label", "columns": "predicted", "counts": counts.tolist()},
            "settings": settings}


def write_summary(summary, directory):
    """Write summary.json and, for people, SUMMARY.md."""
    with replacing(directory / "summary.json") as partial:
        partial.write_text(json.dumps(summary, indent=1))
    with replacing(directory / "SUMMARY.md") as partial:
        partial.write_text(markdown(summary), encoding="utf-8")


def headline(summary):
    """The run in a sentence."""
    line = f"{summary['explained']} of {summary['clips']} clips explained"
    if summary["errors"]:
        line += f", {summary['errors']} could not be read (errors.csv)"
    if summary["cut"]:
        seconds = summary["settings"]["front_end"]["seconds"]
        line += f"; of {summary['cut']} only the first {seconds:g} s were heard"
    if summary["labelled"]:
        line += (f"; {summary['right']} of {summary['labelled']} with a label heard rightly "
                 f"({summary['accuracy']:.1%})")
    return line


def markdown(summary):
    """SUMMARY.md: the headline, what each class got, and who was taken for whom."""
    settings, names = summary["settings"], summary["settings"]["classes"]
    explained = "the class that won" if settings["target"] == "max" else "the class of the label"
    lines = ["# Data-set run", "", f"{headline(summary)}.", "",
             f"Explained: {explained}, by {', '.join(settings['rules'])}. Model: sha256 "
             f"{settings['model_sha256']}.", "",
             "| class | with this label | heard rightly | share | so heard, without a label |",
             "|---|---:|---:|---:|---:|"]
    for name, one in summary["classes"].items():
        share = f"{one['right'] / one['labelled']:.1%}" if one["labelled"] else ""
        lines.append(f"| {markdown_text(name)} | {one['labelled']} | {one['right']} | {share} | "
                     f"{one['heard_without_label']} |")
    if summary["labelled"]:
        lines += ["", "## Confusion", "", "Rows: the label. Columns: what the network heard, by class "
                                          "number.", "",
                  "| label | " + " | ".join(map(str, range(len(names)))) + " |",
                  "|---|" + "---:|" * len(names)]
        lines += [f"| {number} {markdown_text(name)} | " + " | ".join(str(count or "·") for count in row)
                  + " |"
                  for number, (name, row) in enumerate(zip(names, summary["confusion"]["counts"]))]
    lines += ["", "## Files", "", *FILES, ""]
    return "\n".join(lines)


FILES = (
    "* `index.csv`: a line per clip: its row in the arrays, label, prediction, what was explained, relevance "
    "in total, and how "
    "much of it was heard; in this and the other tables an apostrophe stands before text that a spreadsheet "
    "would run as a formula",
    "* `errors.csv`: the clips that could not be read, and why",
    "* `arrays.zarr`: `level` (the spectrogram as the network sees it, 0..255, the highest band first), "
    "`logits`, `relevance_PRESET`; rows of "
    "unreadable clips are zero",
    "* `classes/CLASS-OUTCOME.npz` and a picture: mean level image and mean relevance maps. OUTCOME is right "
    "or wrong for the "
    "clips with that label, heard for those without a label that were so heard; relevance is that of what "
    "was explained",
    "* `classes/CLASS-OUTCOME-PRESET-profiles.csv` and a picture: mean relevance per frequency in hertz and "
    "per moment in seconds",
    "* `typical.csv`: for each class the clips it was surest of, and those whose map is most like the "
    "class's mean map",
    "* `confused.csv`: the wrong decisions the network was surest of",
)
