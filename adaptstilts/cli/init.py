"""The verb that copies the study files of the package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ENDING = ".yaml"


def init(
    name: Annotated[
        str | None, typer.Argument(help="Name of the file. Without it, all files are listed.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Path of the copy. Default: its own name, in the current folder.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Copy a study file from the package, or list them.

    The copy is yours to change; the comment at its beginning says how to run it.
    """
    if name is None:
        for line in _list():
            typer.echo(line)
        return
    source = _find(name)
    path = _destination(source, out, force)
    own_name = f"configs/{_name(source)}{ENDING}"
    text = source.read_text(encoding="utf-8").replace(own_name, str(path))
    _write(path, text)
    typer.echo(f"wrote {path}")
    for command in _commands(text):
        typer.echo(f"next: {command}")


def folder() -> Path:
    """Return the folder of the study files: in the package, or beside it in a checkout without symbolic links.

    Raises:
        ResourceError: neither exists.
    """
    from adaptstilts.errors import ResourceError

    package = Path(__file__).resolve().parents[1]
    for candidate in (package / "configs", package.parent / "configs"):
        if candidate.is_dir():
            return candidate
    raise ResourceError(f"{package / 'configs'}: the study files are missing; install adaptstilts again")


def _files() -> list[Path]:
    """Return the study files, the smallest study first."""
    paths = [path for path in folder().rglob(f"*{ENDING}") if path.is_file()]
    return sorted(paths, key=lambda path: (len(path.relative_to(folder()).parts), path.stat().st_size))


def _name(path: Path) -> str:
    return path.relative_to(folder()).with_suffix("").as_posix()


def _list() -> list[str]:
    """Return one line per file: its name, and the first sentence of its comment."""
    names = {_name(path): _summary(path) for path in _files()}
    width = max(map(len, names))
    return [f"{name:{width}}  {summary}" for name, summary in names.items()]


def _summary(path: Path) -> str:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ").strip()


def _find(name: str) -> Path:
    """Return the file of a name, which may have its ending.

    Raises:
        ConfigError: there is no such file.
    """
    from adaptstilts.errors import ConfigError
    from adaptstilts.registry import nearest

    files = {_name(path): path for path in _files()}
    plain = name.removesuffix(ENDING).removesuffix(".yml").removeprefix("configs/")
    if plain in files:
        return files[plain]
    near = nearest(plain, files)
    hint = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(files)}"
    raise ConfigError(f"unknown study file {name!r}; {hint}")


def _destination(source: Path, out: Path | None, force: bool) -> Path:
    """Return where the copy goes.

    Raises:
        ConfigError: a file is there already, and ``force`` is false.
    """
    from adaptstilts.errors import ConfigError
    from adaptstilts.io.files import is_folder, resolve_output

    path = out or Path(source.name)
    if is_folder(path):
        path /= source.name
    resolve_output(path)
    if path.exists() and not force:
        raise ConfigError(f"{path}: the file exists; choose another path (--out), or overwrite it (--force)")
    return path


def _write(path: Path, text: str) -> None:
    from adaptstilts.io.files import replacing, resolve_output

    with replacing(resolve_output(path)) as file:
        file.write(text)


def _commands(text: str) -> list[str]:
    """Return the command lines in the comment at the beginning of a study file."""
    comments = [line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#")]
    return [line for line in comments if line.startswith("adaptstilts ")]
