"""python -m audio_lrp: the command line where the console script is not on the path."""
from .cli import main

main(prog_name="audio-lrp")
