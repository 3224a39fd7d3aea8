"""The other tools, each a script for its own environment. Nothing here imports this project; `protocol` is
shared.
"""
