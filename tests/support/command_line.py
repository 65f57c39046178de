"""The command line, run in the process of the tests."""

from __future__ import annotations

import sys

import pytest

from adaptstilts import cli


def call(*arguments: object) -> int:
    """Run the command line with some arguments and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["adaptstilts", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
    return int(stopped.value.code or 0)
