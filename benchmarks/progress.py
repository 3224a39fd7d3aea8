"""What is being done, on standard error, so that no one waits at a silent terminal."""
import sys

import click


def say(text):
    """A line on what begins, or what went wrong."""
    click.echo(text, err=True)


def bar(length, label):
    """A progress bar to use as a context, with `update(steps)`; only its label where there is no terminal."""
    return click.progressbar(length=length, label=label, file=sys.stderr)
