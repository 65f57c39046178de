"""Where the built-in encoders are."""

from pathlib import Path

import adaptstilts

BUILTIN = Path(adaptstilts.__file__).parent / "models" / "builtin"
