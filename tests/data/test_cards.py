"""Files of a split by a repository's card, beside what ``datasets`` takes: the same files, or a refusal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adaptstilts.data.cards import files_of, listed
from adaptstilts.errors import DataError

HEAD = "---\nconfigs:\n- config_name: mnli\n"
PATHS = HEAD + "  data_files:\n"
ONE = "mnli/train-00000-of-00001.parquet"
TWO = ["mnli/train-00000-of-00002.parquet", "mnli/train-00001-of-00002.parquet"]
STRAY = "mnli/train-old.parquet"


@dataclass(frozen=True)
class Case:
    """A card's text (None: no card), the files of the repository, and whether the same files are expected."""

    name: str
    card: str | None
    files: list[str]
    same: bool = True


def train(path: str, rest: str = "") -> str:
    """A card that gives the split train one path, as YAML."""
    return f"{PATHS}  - split: train\n    path: {path}\n{rest}---\ntext"


CASES = [
    Case("usual", train("mnli/train-*"), [ONE]),
    Case("usual, other splits beside", train("mnli/train-*"), [ONE, "mnli/test-00000-of-00001.parquet"]),
    Case("two shards", train("mnli/train-*"), TWO),
    Case("two shards, listed the other way", train(f"\n    - {TWO[1]}\n    - {TWO[0]}"), TWO),
    Case("list of paths", train("\n    - mnli/train-a.parquet\n    - mnli/train-b.parquet"),
         ["mnli/train-a.parquet", "mnli/train-b.parquet", "mnli/train-c.parquet"]),
    Case("list of patterns", train("\n    - mnli/b-*.parquet\n    - mnli/a-*.parquet"),
         ["mnli/a-1.parquet", "mnli/a-2.parquet", "mnli/b-1.parquet"]),
    Case("a pattern of a list matches nothing", train("\n    - mnli/b-*.parquet\n    - mnli/a-*.parquet"),
         ["mnli/a-1.parquet"]),
    Case("star stays in its folder", train("mnli/*.parquet"), ["mnli/a.parquet", "mnli/old/b.parquet"]),
    Case("star for a folder", train("mnli/*/a.parquet"), ["mnli/x/a.parquet", "mnli/y/a.parquet", "mnli/a.parquet"]),
    Case("two stars", train("mnli/**/*.parquet"), ["mnli/x/a.parquet", "mnli/x/y/b.parquet"]),
    Case("two stars, also none", train("mnli/**/*.parquet"), ["mnli/a.parquet", "mnli/x/b.parquet"]),
    Case("two stars at the end", train("mnli/**"), ["mnli/a.parquet", "mnli/x/b.parquet"]),
    Case("two stars in a word", train("mnli/a**.parquet"), ["mnli/ab.parquet"], same=False),
    Case("braces", train("'mnli/{a,b}.parquet'"), ["mnli/a.parquet", "mnli/b.parquet"], same=False),
    Case("question mark", train("mnli/?.parquet"), ["mnli/a.parquet", "mnli/ab.parquet"]),
    Case("brackets", train("mnli/[ab].parquet"), ["mnli/a.parquet", "mnli/b.parquet", "mnli/c.parquet"]),
    Case("brackets that exclude", train("mnli/[!ab].parquet"), ["mnli/a.parquet", "mnli/c.parquet"]),
    Case("brackets in a name", train("'mnli/train[1].parquet'"), ["mnli/train[1].parquet", "mnli/train1.parquet"]),
    Case("text", f"{HEAD}  data_files: clean/all.parquet\n---\n", ["clean/all.parquet", STRAY]),
    Case("text, a pattern", f"{HEAD}  data_files: clean/*\n---\n", ["clean/a.parquet", "clean/b.parquet", STRAY]),
    Case("list of texts", f"{PATHS}  - clean/a.parquet\n  - clean/b.parquet\n---\n",
         ["clean/a.parquet", "clean/b.parquet", STRAY]),
    Case("list of texts and mappings", f"{PATHS}  - clean/a.parquet\n  - split: train\n    path: x\n---\n",
         ["clean/a.parquet"], same=False),
    Case("data_dir", f"{HEAD}  data_dir: clean\n---\n", ["clean/train-00000-of-00001.parquet", STRAY]),
    Case("data_dir, split folders", f"{HEAD}  data_dir: clean\n---\n",
         ["clean/train/a.parquet", "clean/test/b.parquet"]),
    Case("data_dir, no split in names", f"{HEAD}  data_dir: clean\n---\n", ["clean/a.parquet", STRAY]),
    Case("data_dir, empty", f"{HEAD}  data_dir: clean\n---\n", [STRAY], same=False),
    Case("data_dir with a slash", f"{HEAD}  data_dir: ./clean/\n---\n", ["clean/train-0.parquet", STRAY]),
    Case("data_dir and data_files",
         f"{HEAD}  data_dir: clean\n  data_files:\n  - split: train\n    path: train*\n---\n",
         ["clean/train-0.parquet", STRAY, "train-top.parquet"]),
    Case("neither", f"{HEAD}  drop_labels: true\n---\n", ["data/train-00000-of-00001.parquet"], same=False),
    Case("./ before the path", train("./mnli/train-*"), ["mnli/train-0.parquet"]),
    Case("./ before a whole path", train("./mnli/train-0.parquet"), ["mnli/train-0.parquet"]),
    Case("two slashes", train("mnli//train-*"), ["mnli/train-0.parquet"], same=False),
    Case("up and down", train("mnli/../clean/*.parquet"), ["clean/a.parquet", "mnli/b.parquet"]),
    Case("out of the repository", train("../glue/mnli/*.parquet"), ["mnli/a.parquet"], same=False),
    Case("a whole path that is not there", train("mnli/gone.parquet"), ["mnli/a.parquet"], same=False),
    Case("a pattern that matches nothing", train("mnli/gone*"), ["mnli/a.parquet"], same=False),
    Case("the same file twice", train("\n    - mnli/a*\n    - mnli/*a.parquet"), ["mnli/a.parquet"], same=False),
    Case("CRLF", train("clean/train-*").replace("\n", "\r\n"), ["clean/train-0.parquet", STRAY]),
    Case("byte-order mark", "\ufeff" + train("clean/train-*"), ["clean/train-0.parquet", STRAY], same=False),
    Case("blank lines before", "\n\n" + train("clean/train-*"), ["clean/train-0.parquet", STRAY]),
    Case("other keys", "---\nlicence: mit\n" + train("mnli/train-*")[4:], [ONE]),
    Case("another config", train("mnli/train-*").replace("mnli\n", "other\n", 1), [ONE], same=False),
    Case("two configs", train("mnli/train-*", "- config_name: b\n  data_files: b/*\n"), [ONE, "b/x.parquet"]),
    Case("another split", train("mnli/test-*").replace("split: train", "split: test"), [ONE, "mnli/test-0.parquet"],
         same=False),
    Case("a split twice",
         train("mnli/a*", "  - split: train\n    path: mnli/b*\n"), ["mnli/a.parquet", "mnli/b.parquet"],
         same=False),
    Case("path a number", train("7"), [ONE], same=False),
    Case("files a mapping", f"{HEAD}  data_files:\n    train: mnli/*\n---\n", ["mnli/a.parquet"], same=False),
    Case("an entry with a third key", train("mnli/*", "    url: x\n"), ["mnli/a.parquet"], same=False),
    Case("configs a mapping", "---\nconfigs:\n  mnli: 1\n---\n", [ONE], same=False),
    Case("no name", "---\nconfigs:\n- data_files: x\n---\n", [ONE], same=False),
    Case("broken YAML", "---\nconfigs: [\n---\n", [ONE], same=False),
    Case("hidden file", train("mnli/*"), ["mnli/.a.parquet", "mnli/b.parquet"]),
    Case("hidden file, asked for", train("mnli/.*"), ["mnli/.a.parquet", "mnli/b.parquet"]),
    Case("hidden folder", train("mnli/**/*.parquet"), ["mnli/.x/a.parquet", "mnli/b.parquet"]),
    Case("special folder", train("mnli/**/*.parquet"), ["mnli/__x__/a.parquet", "mnli/b.parquet"]),
    Case("special folder, asked for", train("mnli/__*/*.parquet"), ["mnli/__x__/a.parquet", "mnli/b.parquet"]),
    Case("text beside", train("mnli/*"), ["mnli/a.parquet", "mnli/LICENSE"]),
    Case("other data beside", train("mnli/*"), ["mnli/a.parquet", "mnli/a.jsonl"], same=False),
    Case("one shard of two", train("mnli/train-*"), TWO[:1], same=False),
    Case("an old whole file", train("mnli/train-*"), [ONE, *TWO], same=False),
    Case("a browser's copy", train("mnli/train-*"), [ONE, "mnli/train-00000-of-00001 (1).parquet"], same=False),
    Case("a shard too many", train("mnli/train-*"), [*TWO, "mnli/train-00002-of-00002.parquet"], same=False),
    Case("names with blanks", train("mnli/train set/*"), ["mnli/train set/a.parquet"]),
    Case("names in other scripts", train("mnli/данные-*"), ["mnli/данные-1.parquet", "mnli/b.parquet"]),
    Case("an anchor", f"{HEAD}  data_files: &files\n  - split: train\n    path: mnli/*\n---\n", ["mnli/a.parquet"]),
    Case("no card", None, [ONE]),
    Case("no card, two shards", None, TWO),
    Case("no card, shards with a hash", None,
         ["mnli/train-00000-of-00002-0123456789abcdef.parquet", "mnli/train-00001-of-00002-0123456789abcdef.parquet"]),
    Case("no card, an old hash beside a new one", None,
         ["mnli/train-00000-of-00001-0123456789abcdef.parquet", "mnli/train-00000-of-00001-fedcba9876543210.parquet"],
         same=False),
    Case("no card, folders in a folder", None, ["mnli/train/a/0.parquet", "mnli/train/b/0.parquet"]),
    Case("no card, a whole file beside numbered ones", None,
         ["mnli/train.parquet", "mnli/train-0.parquet", "mnli/train-1.parquet"], same=False),
    Case("no card, a copy in a folder", None, ["mnli/train/a.parquet", "mnli/train/a (1).parquet"], same=False),
    Case("a copy that a pattern takes", train("mnli/train*"), ["mnli/train.parquet", "mnli/train - Copy.parquet"],
         same=False),
    Case("one of two files is not there", train("\n    - mnli/a.parquet\n    - mnli/b.parquet"), ["mnli/a.parquet"],
         same=False),
    Case("files of two formats", train("\n    - mnli/a.parquet\n    - mnli/b.jsonl"),
         ["mnli/a.parquet", "mnli/b.jsonl"], same=False),
    Case("no card, one whole file", None, ["mnli/train.parquet"]),
    Case("no card, a folder", None, ["mnli/train/a.parquet", "mnli/train/b.parquet"]),
    Case("no card, a folder of a like name", None, [ONE, "mnli/train-backup/part.parquet"], same=False),
    Case("no card, both layouts", None, ["mnli/train-0.parquet", "mnli/train/part.parquet"], same=False),
    Case("no card, leftovers", None, [ONE, "mnli/train-00000-of-00001-checkpoint.parquet"], same=False),
    Case("no card, one shard of two", None, TWO[:1], same=False),
    Case("no card, a browser's copy", None, [ONE, "mnli/train-00000-of-00001 (1).parquet"], same=False),
]  # fmt: skip


def theirs(root: Path, case: Case) -> list[str] | None:
    """The files that ``datasets`` takes for the split; None if it takes none or refuses."""
    import datasets

    table = pa.table({"label": [0]})
    for name in case.files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            pq.write_table(table, path)
        else:
            path.write_text('{"label": 0}\n', encoding="utf-8")
    if case.card is not None:
        (root / "README.md").write_bytes(case.card.encode())
    options = {"name": "mnli"} if case.card is not None else {"data_dir": "mnli"}
    try:
        files = datasets.load_dataset_builder(str(root), **options).config.data_files["train"]
    except (ValueError, FileNotFoundError, KeyError, TypeError, AttributeError, datasets.exceptions.DatasetsError):
        return None
    return [Path(path).resolve().relative_to(root.resolve()).as_posix() for path in files]


def ours(case: Case) -> list[str] | None:
    try:
        return (
            files_of(case.card or "", [*case.files, *["README.md"][: case.card is not None]], "mnli", "train") or None
        )
    except DataError:
        return None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_same_files_or_a_refusal(case: Case, tmp_path: Path) -> None:
    files = ours(case)
    assert files is not None or not case.same
    if files is not None:
        assert files == theirs(tmp_path / "glue", case)


def test_enough_cases_have_files() -> None:
    assert len(CASES) >= 70
    assert sum(case.same for case in CASES) >= 40


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (TWO[:1], r"mnli/train: expected 2 shards, found 1 \(train-00000-of-00002.parquet\); number 1 is missing"),
        ([ONE, *TWO], "shards of several sets lie side by side: train-00000-of-00001.parquet, train-00000-of-00002"),
        ([ONE, "mnli/train-00000-of-00001 (1).parquet"], r"\(1\).parquet: looks like a copy or a leftover"),
        (
            [ONE, "mnli/train-1.parquet"],
            "mnli/train-1.parquet: lies among the numbered shards of mnli/train; remove",
        ),
    ],
)
def test_what_is_said_of_shards(files: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        files_of("", files, "mnli", "train")


@pytest.mark.parametrize(
    ("card", "files", "message"),
    [
        (train("gone/a.parquet"), [ONE], None),
        (train("\n    - mnli/a.parquet\n    - mnli/b.parquet"), ["mnli/a.parquet"],
         "README.md: the split 'train' has 'mnli/b.parquet', which is not there; copy or fetch it"),
        ("---\nlicence: mit\nconfigs: [\n---\n", [ONE], r"README.md:\d: the front matter is not YAML \(.*\); correct"),
        ("\ufeff# A title", [ONE], None),
        ("\ufeff" + train("mnli/*"), [ONE], "README.md: begins with a byte-order mark"),
        ("", ["mnli/train.parquet", "mnli/train/a.parquet"],
         "mnli/train/a.parquet: mnli/train.parquet could be the split 'train' as well; remove one of them"),
        ("", ["mnli/train-a.parquet"],
         "mnli/train-a.parquet: .* remove it, or list the files of the split in README.md"),
    ],
)  # fmt: skip
def test_what_is_said_of_cards(card: str, files: list[str], message: str | None) -> None:
    """What is absent altogether is an absent split, for which a mirror may stand in."""
    if message is None:
        assert files_of(card, files, "mnli", "train") in ([], [ONE])
        return
    with pytest.raises(DataError, match=message) as caught:
        files_of(card, files, "mnli", "train")
    assert "\n" not in str(caught.value)


def test_what_a_card_lists_instead() -> None:
    card = train("mnli/train-*", "  - split: dev\n    path: mnli/dev-*\n")
    assert listed("", "mnli", "test") == ""
    assert listed(card, "mnli", "test") == (
        "README.md lists only the split 'train', 'dev' of this config; list it there as well"
    )
    assert listed(card, "mnli", "dev") == "README.md lists 'mnli/dev-*', and no such file is there; copy or fetch it"
    assert listed(card, "qqp", "dev") == "README.md lists only the config 'mnli'; list it there as well"


def test_a_default_config_may_lie_in_data_or_at_the_root() -> None:
    assert files_of("", ["data/train-00000-of-00001.parquet"], "default", "train")
    assert files_of("", ["train-00000-of-00001.parquet"], "default", "train")
    assert files_of("", ["train.tsv"], "default", "train", ".tsv") == ["train.tsv"]
    assert files_of("", ["v1/tatoeba.deu-eng.deu", "v1/tatoeba.deu-eng.eng"], "v1", "tatoeba.deu-eng", ".*")
