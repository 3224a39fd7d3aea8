"""python -m benchmarks: how fast the engine explains."""
import click
import numpy as np

from lrp_core.chunks import default_threads

from . import throughput as speed


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Time the engine. Compare rows of one run with each other; another machine or hour gives other numbers."""


@main.command()
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1), help="Timed calls; the median is printed.")
def throughput(repeats):
    """Milliseconds for each explained clip (forward and backward) of the study's network, by preset and batch."""
    click.echo(f"{default_threads()} processors; matrix products: {speed.product_rate(np.float32):.0f} GFLOP/s in float32, "
               f"{speed.product_rate(np.float64):.0f} in float64")
    rows = speed.measure(repeats=repeats)
    click.echo(f"{'preset':<16}{'dtype':<10}{'batch':>6}{'ms/clip':>10}{'clips/s':>10}")
    for row in rows:
        click.echo(f"{row['preset']:<16}{row['dtype']:<10}{row['batch']:>6}{row['ms']:>10.1f}{1e3 / row['ms']:>10.0f}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
