"""Explanations per second by batch and number of threads: `python -m benchmarks scaling`."""
import lrp_core
from lrp_core.chunks import default_threads

from .peers.protocol import LEAST_SECONDS, time_calls
from .spread import paired, spread
from .study import repeated
from .style import BLUE, GREEN, ORANGE, PURPLE, RED, SKY
from .tables import Table
from .turns import Contestant, take_turns

NAME, TITLE, SIZE = "scaling", "Scaling", (8, 4.5)
ABOUT = """Explanations per second (`epsilon`, float32) by the number of clips in one call and of threads.
The cost of a clip is given relative to that in a batch of 32 on as many threads."""
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
REFERENCE = 32


def thread_counts(cores):
    """1, 2, 4 ... and all."""
    return sorted({*(1 << n for n in range(cores.bit_length()) if 1 << n <= cores), cores})


def measure(network, x, *, repeats=5, batches=BATCHES, threads=None, least=LEAST_SECONDS):
    """The result: seconds of each round for each batch and number of threads, in turn over the threads."""
    counts, rows = threads or thread_counts(default_threads()), []
    for batch in batches:
        images = repeated(x, batch)

        def timer(count, images=images):
            def work():
                lrp_core.explain(network, images, "epsilon", dtype="float32", threads=count)
            return lambda: time_calls(work, least)
        seconds = take_turns([Contestant(count, timer(count)) for count in counts], repeats, f"batch {batch}")
        rows += [{"batch": batch, "threads": count, "seconds": seconds[count]} for count in counts]
    return {"rows": rows}


def cost(row):
    """Seconds for each clip in each round."""
    return [seconds / row["batch"] for seconds in row["seconds"]]


def tables(result):
    """For readers: clips per second, the gain from threads, the cost relative to the reference batch."""
    by_case = {(row["threads"], row["batch"]): row for row in result["rows"]}

    def cells(row):
        one, reference = by_case[1, row["batch"]], by_case.get((row["threads"], REFERENCE))
        return [row["threads"], row["batch"], spread([1 / s for s in cost(row)]),
                paired(cost(one), cost(row)),
                f"{spread(cost(row)).median / spread(cost(reference)).median:.2f}" if reference else ""]
    return [Table(f"Clips per second; {result['inputs']}",
                  (">threads", ">batch", ">clips/s", ">× one thread",
                   f">cost of a clip, batch {REFERENCE} = 1"),
                  [cells(row) for row in sorted(result["rows"],
                                                key=lambda row: (row["threads"], row["batch"]))])]


def draw(result, figure):
    """A line for each number of threads."""
    axes, rows = figure.subplots(), result["rows"]
    counts = sorted({row["threads"] for row in rows})
    for count, colour, marker in zip(counts, (BLUE, ORANGE, GREEN, RED, PURPLE, SKY), "osD^vP"):
        chosen = [row for row in rows if row["threads"] == count]
        spreads = [spread([1 / s for s in cost(row)]) for row in chosen]
        batches = [row["batch"] for row in chosen]
        axes.plot(batches, [one.median for one in spreads], color=colour, marker=marker,
                  label=f"{count} thread{'s' * (count > 1)}")
        axes.fill_between(batches, [one.low for one in spreads], [one.high for one in spreads], color=colour,
                          alpha=0.2)
    axes.set_xscale("log", base=2)
    axes.set_xticks(sorted({row["batch"] for row in rows}))
    axes.xaxis.set_major_formatter("{x:.0f}")
    axes.set(xlabel="clips in one call", ylabel="explanations per second (more is better)")
    axes.set_ylim(bottom=0)
    axes.grid(True)
    axes.legend(frameon=False)
