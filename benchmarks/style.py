"""How all plots look: colours that differ for every eye (Okabe and Ito 2008), text that stays text."""
from lrp_core.files import replacing

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "audio-lrp", "font.size": 10, "axes.spines.top": False,
            "axes.spines.right": False, "axes.grid.axis": "both", "grid.alpha": 0.3, "axes.axisbelow": True}


def write_plot(path, draw, size):
    """Write draw(figure) to an SVG file of `size` inches, whole or not at all."""
    import matplotlib  # here, so that no measurement carries it along
    from matplotlib.figure import Figure
    with matplotlib.rc_context(SETTINGS), replacing(path) as partial:
        figure = Figure(figsize=size, layout="constrained")
        draw(figure)
        figure.savefig(partial, format="svg", metadata={"Date": None})
