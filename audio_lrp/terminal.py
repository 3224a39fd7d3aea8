"""What the commands print: lines and errors that a terminal shows and does not obey, whatever files hold."""
import contextlib

import click

from lrp_core.text import MESSAGE, clean


class Commands(click.Group):
    """A group of commands whose errors are cleaned, a line each: they quote file names and what is in files.
    """

    def make_context(self, *arguments, **extra):
        with cleaned_errors():
            return super().make_context(*arguments, **extra)

    def invoke(self, context):
        with cleaned_errors():
            return super().invoke(context)


@contextlib.contextmanager
def cleaned_errors():
    """Clean the message of any of click's exceptions that leaves the block."""
    try:
        yield
    except click.ClickException as error:
        error.message = clean(error.message, MESSAGE)
        raise


def say(*lines, err=False):
    """Print lines, on stderr if `err`. Each is cleaned, and stays one line whatever the names in it hold."""
    click.echo("\n".join(clean(line, MESSAGE) for line in lines), err=err)


def say_blocks(blocks):
    """Print blocks of lines, a blank line between two of them."""
    say(*[line for number, block in enumerate(blocks) for line in [""] * (number > 0) + block])
