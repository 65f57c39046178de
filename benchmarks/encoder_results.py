"""The results of the benchmark of built-in encoders: as lines, and in the encoders' cards."""

from __future__ import annotations

from typing import Any

from adaptstilts.models.locate import BUILTIN, locate
from adaptstilts.pretrain import export


def write_cards(result: dict[str, Any]) -> None:
    """Write the Tatoeba scores of every encoder into its card, in place of older ones."""
    for name, scores in result["tatoeba"].items():
        if not name.startswith(BUILTIN):
            continue
        path = locate(name).folder / export.CARD
        text = path.read_text(encoding="utf-8")
        head, _, rest = text.partition("## Measured\n")
        tail = "## Limits" + (rest or head).partition("## Limits")[2]
        head = head.partition("## Limits")[0]
        row = " | ".join(f"{scores['languages'][code]:.1f}" for code in sorted(scores["languages"]))
        codes = " | ".join(sorted(scores["languages"]))
        section = f"""## Measured

Tatoeba v1 test, accuracy in per cent, English queries against the foreign sentences, mean-pooled hidden state
{scores["layer"]} (chosen on the held-out translations). Mean over its {scores["own_languages"]} own languages
{scores["own"]:.1f}, over all {scores["all_languages"]} of XTREME {scores["all"]:.1f}.

| {codes} |
|{"---|" * len(scores["languages"])}
| {row} |

"""
        path.write_text(head + section + tail, encoding="utf-8")


def show(part: str, rows: dict[str, Any]) -> None:
    """Print a part as lines.

    Args:
        part: name of the part.
        rows: its result.
    """
    for name, row in rows.items():
        if part == "tatoeba":
            print(f"{name:28} own {row['own']:5.1f} ({row['own_languages']})  all {row['all']:5.1f}")
        elif part == "transfer" and isinstance(row, dict) and "others" in row:
            others = ", ".join(f"{label} {value:.1f}" for label, value in row["others"].items())
            print(f"{name:8} others: {others}, {with_interval(row['others_difference'])}")
        elif part == "sample" and isinstance(row, dict) and "majority" in row:
            print(f"{name:16} majority {row['majority']['own']:.1f}, model {row['model']['own']:.1f}")
        elif part == "retention" and name != "train":
            for label, cell in row.items():
                gain = with_interval(cell["vs_none"]) if cell["vs_none"] else ""
                print(f"{name:20} {label:28} own {cell['own']:5.1f}  {gain}")


def with_interval(gain: dict[str, Any]) -> str:
    """Return a difference with its interval; with one seed there is none."""
    interval = f" [{gain['low']:+.1f}, {gain['high']:+.1f}]" if "low" in gain else ""
    return f"{gain['value']:+.1f}{interval}"
