"""Run the command line as ``python -m adaptstilts``."""

from adaptstilts.cli import main

main()
