"""Records as tables: Markdown, CSV, LaTeX and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from adaptstilts import tasks
from adaptstilts.metrics import xtreme
from adaptstilts.metrics.bootstrap import Difference
from adaptstilts.reports import summary
from adaptstilts.reports.choose import Ranking
from adaptstilts.reports.records import Record, swapped

Format = Literal["md", "csv", "latex", "json"]
FEWEST_TASKS = 3  # of a benchmark, for a table of it
MARK = "*"


@dataclass(frozen=True)
class Table:
    """A titled table of text, with remarks below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def render(records: Sequence[Record], form: Format, name: str = "") -> str:
    """All tables of a study in one of the formats."""
    if form == "json":
        return json.dumps({"study": name, "records": [r.json() for r in records]}, indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return _csv(records)
    if form == "latex":
        return "\n\n".join(map(_latex, tables(records))) + "\n"
    told = summary.sentence(records)
    return "\n\n".join([*map(markdown, tables(records)), *([told] if told else [])]) + "\n"


def tables(records: Sequence[Record]) -> list[Table]:
    """The comparison of methods and intermediates per target, then costs, then swaps."""
    plain = [r for r in records if r.over == r.trained_on]
    found = []
    for task in _unique(r.task for r in plain):
        own = [r for r in plain if r.task == task]
        found.append(_scores(task, own))
        if any(r.layers for r in own):
            swept = [((r.trained_on, r.method), r.layers, r.layer) for r in own]
            found.append(by_layer(f"{task}: means over languages by hidden state", ("intermediate", "method"), swept))
    found += [table for held in xtreme.BENCHMARKS if (table := _benchmark(held, plain))]
    trained = [r for r in plain if r.trainable is not None]
    if trained:
        found.append(_costs(trained))
    found += [_pairs(*key, held) for key, held in _by_method([r for r in plain if r.vs_others])]
    return found + [_swap(*key, cells) for key, cells in _by_method(swapped(records))]


def _scores(task: str, records: Sequence[Record]) -> Table:
    metrics = next((tuple(r.metrics) for r in records if r.metrics), ())
    more = metrics if len(metrics) > 1 else ()
    header = ("intermediate", "method", "English", "others", "gap", "all", "vs reference", "vs none")
    rows = tuple(
        (
            r.trained_on,
            r.method,
            _points(r.english),
            _points(r.others),
            _points(r.gap),
            _points(r.mean) + (f" ± {r.spread:.1f}" if r.spread is not None else ""),
            _difference(r.vs_reference),
            _difference(r.vs_none),
            *(_points(r.metrics.get(name)) for name in more),
        )
        for r in records
    )
    names = " and ".join(tasks.get(task).headline).replace("_", " ")
    return Table(f"{task}: {names}", (*header, *(name.replace("_", " ") for name in more)), rows, _notes(records))


def by_layer(
    title: str, names: tuple[str, ...], rows: Sequence[tuple[tuple[str, ...], Mapping[int, float], int | None]]
) -> Table:
    """Scores by hidden state: of every row its names, its scores, and which one is reported, which is marked."""
    layers = sorted({layer for _, means, _ in rows for layer in means})
    body = []
    for own, means, reported in rows:
        cells = [f"{means[layer]:.1f}" if layer in means else "-" for layer in layers]
        marked = [f"**{cell}**" if layer == reported else cell for layer, cell in zip(layers, cells, strict=True)]
        body.append((*own, *marked))
    return Table(title, (*names, *map(str, layers)), tuple(body), ("in bold: the reported layer",))


def _benchmark(held: xtreme.Benchmark, records: Sequence[Record]) -> Table | None:
    """A benchmark's table: tasks, groups and total of every intermediate task and method; None for a task or two."""
    folders = {r.task: xtreme.FOLDERS[r.task] for r in records if xtreme.FOLDERS.get(r.task) in held.languages}
    if "tatoeba_r" in folders:  # the one that belongs to XTREME-R; the other has its own representation
        folders.pop("tatoeba_r" if held.name == "XTREME" else "tatoeba", None)
    named = {folder: task for task, folder in folders.items()}
    shown = [folder for folder in held.languages if folder in named]
    if len(shown) < FEWEST_TASKS:
        return None
    rows, partial = [], set()
    for trained_on, method in dict.fromkeys((r.trained_on, r.method) for r in records):
        own = [r for r in records if (r.trained_on, r.method) == (trained_on, method) and r.task in folders]
        means = xtreme.means(held, {folders[r.task]: r.languages for r in own})
        cells = [means.tasks[folder] for folder in shown] + [*means.groups.values(), means.total]
        partial |= {f"{named[folder]} {m.have}/{m.of}" for folder, m in means.tasks.items() if 0 < m.have < m.of}
        rows.append((trained_on, method, *(_marked(mean) for mean in cells)))
    header = ("intermediate", "method", *(named[folder] for folder in shown), *held.groups, "total")
    absent = [folder for folder in held.languages if folder not in named]
    notes = [f"{MARK} over fewer languages or tasks than {held.name} has"] if partial or absent else []
    notes += [f"languages: {', '.join(sorted(partial))}"] if partial else []
    notes += [f"no {', '.join(absent)}, hence no total"] if absent else []
    other = {r.task: r.split for r in records if r.task in folders and r.split != "test"}
    notes += [f"not the test rows: {', '.join(f'{task} ({split})' for task, split in other.items())}"] if other else []
    return Table(f"{held.name}: means over languages, groups and total", header, tuple(rows), tuple(notes))


def _marked(mean: xtreme.Mean) -> str:
    return "-" if mean.value is None else f"{mean.value:.1f}" + ("" if mean.whole else MARK)


def _costs(records: Sequence[Record]) -> Table:
    header = ("target", "intermediate", "method", "trained", "head", "stored", "seconds", "peak", "examples/s")
    rows = tuple(
        (
            r.task,
            r.trained_on,
            r.method,
            _count(r.trainable),
            _count(r.head),
            _size(r.bytes),
            "-" if r.seconds is None else f"{r.seconds:.1f}",
            _size(r.peak_bytes),
            "-" if r.examples_per_second is None else f"{r.examples_per_second:.0f}",
        )
        for r in records
    )
    notes = (
        "trained: parameters of the encoder part; stored: one target's adapter or encoder, and head",
        "seconds: the target's own training; peak: memory above what was held before it",
    )
    return Table("cost of each target", header, rows, notes)


def _pairs(task: str, method: str, records: Sequence[Record]) -> Table:
    """Every result of a task and a method against every other."""
    names = [r.trained_on for r in records]
    rows = tuple((r.trained_on, *(_difference(r.vs_others.get(name)) for name in names)) for r in records)
    notes = ("the row's score minus the column's, 95 % intervals of a paired bootstrap over examples",)
    return Table(f"compositions under {task} ({method})", ("", *names), rows, notes)


def of_rankings(rankings: Sequence[Ranking], target: str) -> list[Table]:
    """What predictors say of the intermediates for a target, one table for each method."""
    found = []
    for method in _unique(r.method for r in rankings):
        own = [r for r in rankings if r.method == method]
        most = max((k for r in own for k in r.regret), default=0)
        tried = [k for k in (1, 2, 3) if k <= most]
        header = (
            "predictor",
            "most promising first",
            *(f"regret@{k}" for k in tried),
            *(["correlation"] * bool(tried)),
        )
        rows = tuple(
            (
                r.predictor,
                ", ".join(f"{name} {value:.4g}" for name, value in r.values.items()),
                *(f"{r.regret[k]:.1f} %" if k in r.regret else "-" for k in tried),
                *(["-" if r.correlation is None else f"{r.correlation:+.2f}"] * bool(tried)),
            )
            for r in own
        )
        notes = ["probe: dev score of a head on few rows; logme: evidence of those rows; embedding: likeness of texts"]
        truth = next((r.truth for r in own if r.truth), {})
        if truth:
            told = ", ".join(f"{name} {truth[name]:.1f}" for name in sorted(truth, key=lambda name: -truth[name]))
            notes += [f"the study's scores, all languages: {told}"]
            notes += ["regret@k: what trying the first k alone would lose of the best; correlation: Spearman's"]
        found.append(Table(f"intermediates for {target} ({method})", header, rows, tuple(notes)))
    return found


def _swap(task: str, method: str, cells: Sequence[Record]) -> Table:
    trained = _unique(r.trained_on for r in cells if r.over != r.trained_on)
    over = _unique(r.over for r in cells if r.trained_on in trained)
    held = {(r.trained_on, r.over): r for r in cells}

    def cell(i: str, j: str) -> str:
        record = held.get((i, j))
        if record is None or record.mean is None:
            return "-"
        text = f"{record.mean:.1f}"
        return f"**{text}**" if i == j else f"{text} {_difference(record.vs_trained)}".rstrip(" -")

    rows = tuple((i, *(cell(i, j) for j in over)) for i in trained)
    notes = ("rows: trained on; columns: evaluated over; brackets: difference to the bold cell of the row, 95 %.",)
    return Table(f"swap of intermediate adapters under {task} ({method})", ("trained on", *over), rows, notes)


def _notes(records: Sequence[Record]) -> tuple[str, ...]:
    first = records[0]
    done = [r for r in records if r.complete]
    notes = ["points; differences with 95 % intervals of a paired bootstrap over examples"]
    if done and done[0].n:
        low, high = done[0].n
        size = str(low) if low == high else f"{low} to {high}"
        notes.append(
            f"{len(done[0].languages)} languages, {size} examples each{' (a subset)' if done[0].subset else ''}"
        )
    for told, chosen in (
        ("score thresholds from dev", [value for r in done for value in r.thresholds.values()]),
        ("oracle: score thresholds chosen on the scored rows", [v for r in done for v in r.oracle_thresholds.values()]),
    ):
        if chosen:
            notes.append(f"{told}, {min(chosen):.4f} to {max(chosen):.4f}")
    notes += [_pool(r.pool) for r in done[:1] if r.pool]
    if first.split != "test":
        notes.append(f"the {first.split} rows, not the test rows")
    if first.missing:
        notes.append(f"not in the data, not in the mean: {', '.join(first.missing)}")
    cut = max((r.truncated for r in done), default=0.0)
    if cut > 0.01:
        notes.append(f"{100 * cut:.1f} % of the examples lost tokens to the maximum length")
    if any(r.dropped for r in done):
        notes.append(f"{max(r.dropped for r in done)} rows were left out, most of them for want of a gold label")
    if len(done) < len(records):
        notes.append(f"{len(records) - len(done)} of {len(records)} rows are not computed yet")
    return tuple(notes)


def _pool(pool: Mapping[str, int]) -> str:
    """What queries were ranked against."""
    text = f"ranked against {pool['candidates']} candidates"
    if "of" in pool:
        text += f" in {pool['languages']} of {pool['of']} languages"
    return text + (f", {pool['truncated']} of them cut to the maximum length" if pool["truncated"] else "")


def markdown(table: Table) -> str:
    """A table as Markdown."""
    widths = [max(len(row[i]) for row in (table.header, *table.rows)) for i in range(len(table.header))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    body = "\n".join([line(table.header), rule, *(line(row) for row in table.rows)])
    notes = "\n\n" + "  \n".join(f"_{note}_" for note in table.notes) if table.notes else ""
    return f"### {table.title}\n\n{body}{notes}"


_TEX = {"&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}", "±": r"$\pm$"}


def _latex(table: Table) -> str:
    def escape(cell: str) -> str:
        bold = cell.startswith("**") and cell.endswith("**") and len(cell) > 4
        text = "".join(_TEX.get(char, char) for char in (cell[2:-2] if bold else cell))
        return rf"\textbf{{{text}}}" if bold else text

    lines = [r"\begin{table}", r"\centering", rf"\begin{{tabular}}{{{'l' * len(table.header)}}}", r"\hline"]
    lines += [" & ".join(map(escape, table.header)) + r" \\ \hline"]
    lines += [" & ".join(map(escape, row)) + r" \\" for row in table.rows]
    caption = escape(". ".join([table.title, *table.notes]))
    lines += [r"\hline", r"\end{tabular}", rf"\caption{{{caption}}}", r"\end{table}"]
    return "\n".join(lines)


def _csv(records: Sequence[Record]) -> str:
    """One row per record, numbers unrounded; text that a spreadsheet would run is quoted with an apostrophe."""
    fields = (
        "task method composition trained_on over complete english others gap mean spread trainable head bytes seconds"
        " intermediate_seconds peak_bytes examples_per_second"
    ).split()
    names = ("vs_reference", "vs_none", "vs_trained")
    codes = _unique(code for r in records for code in r.languages)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*fields, *(f"{n}_{end}" for n in names for end in ("value", "low", "high")), *codes])
    for r in records:
        row = [_safe(getattr(r, name)) for name in fields]
        for name in names:
            found: Difference | None = getattr(r, name)
            row += [found.value, found.low, found.high] if found else ["", "", ""]
        writer.writerow(row + [r.languages.get(code, "") for code in codes])
    return out.getvalue()


def _safe(value: object) -> object:
    if isinstance(value, str) and value[:1] in "=+-@\t\r" and value:
        return "'" + value
    return "" if value is None else value


def _by_method(records: Sequence[Record]) -> list[tuple[tuple[str, str], list[Record]]]:
    groups: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        groups.setdefault((r.task, r.method), []).append(r)
    return list(groups.items())


def _unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _points(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _difference(value: Difference | None) -> str:
    return "-" if value is None else f"{value.value:+.1f} [{value.low:+.1f}, {value.high:+.1f}]"


def _count(value: int | None) -> str:
    if value is None:
        return "-"
    return scaled(value, ("", "k", "M", "G"), 1000)


def _size(value: int | None) -> str:
    return "-" if value is None else scaled(value, ("B", "KiB", "MiB", "GiB"), 1024, " ")


def scaled(value: float, units: Sequence[str], step: int, gap: str = "") -> str:
    """A number with the largest unit that leaves it above one."""
    index = 0
    while value >= step and index < len(units) - 1:
        value, index = value / step, index + 1
    return f"{value:.0f}{gap}{units[index]}" if index == 0 else f"{value:.1f}{gap}{units[index]}"
