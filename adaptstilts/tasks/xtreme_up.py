"""XTREME-UP: the tasks of that benchmark that an encoder can do (Ruder et al. 2023, arXiv 2305.11938).

The benchmark trains on a few rows of each language. Here that is ``rows`` with ``after: none`` (*in-language*); without
``rows``, English rows are trained on and the other languages are tested (*zero-shot*), which the benchmark itself does
not ask for. Unpack ``xtreme-up-v1.1.jsonl.tgz`` to ``<data root>/google-research/xtreme-up``, and put MasakhaNER-X
(github masakhane-io/masakhane-ner, ``xtreme-up/MasakhaNER-X``) there as ``ner``, so that there are files such as
``ner/test/sw.jsonl``, ``qa_in_lang/train/sw.jsonl`` and ``retrieval_in_lang/index.jsonl``.
"""

from typing import Any

from adaptstilts.tasks.base import Row, Source, Task
from adaptstilts.tasks.row_values import UnfitRow, text

_REPO = "google-research/xtreme-up"
_NO_ANSWER = "No Answer"
_NER = "am bbj bm ee ha ig lg luo mos ny pcm rw sn sw tn tw wo xh yo zu"
_IN_LANGUAGE = "en ar bn fi id ko ru sw te"
_CROSS_LANGUAGE = "ar as bho bn brx fi gbm gom gu hi hne kn ko mai ml mni mr mwr or pa ps ru sa ta te ur"
_ENTITY_TYPES = ("PER", "ORG", "LOC", "DATE")
_PANX_TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
_CITATION = "Ruder et al. 2023, arXiv 2305.11938"
_HINT = f"unpack the benchmark's files to <data root>/{_REPO}"


def _entities(row: Row) -> dict[str, Any]:
    """Return a text with the characters and labels of its entities; PAN-X gives words with tags instead."""
    if "ner_tags" in row:
        return _from_tags(row["tokens"], row["ner_tags"])
    content = text(row, "text")
    starts = [_character(content, span["start_byte"]) for span in row["spans"]]
    ends = [_character(content, span["limit_byte"]) for span in row["spans"]]
    return {"text": content, "starts": starts, "ends": ends, "labels": [span["label"] for span in row["spans"]]}


def _character(content: str, byte: int) -> int:
    """Return the number of the character that begins at a byte of a text's UTF-8 form.

    Raises:
        UnfitRow: none begins there.
    """
    try:
        if 0 <= byte <= len(content.encode()):
            return len(content.encode()[:byte].decode())
    except UnicodeDecodeError:
        pass
    raise UnfitRow(f"spans: expected bytes between two characters of the text, found {byte!r}")


def _from_tags(tokens: list[str], tags: list[int]) -> dict[str, Any]:
    """Return words as one text with blanks between them, and the runs of tags as entities."""
    starts: list[int] = []
    ends: list[int] = []
    labels: list[str] = []
    place, previous = 0, "O"
    for token, number in zip(tokens, tags, strict=True):
        tag = _PANX_TAGS[number]
        end = place + len(token)
        if tag == "O" or not token.strip():
            pass
        elif tag[0] == "B" or previous[2:] != tag[2:]:
            starts.append(place)
            ends.append(end)
            labels.append(tag[2:])
        else:
            ends[-1] = end
        place, previous = end + 1, tag
    return {"text": " ".join(tokens), "starts": starts, "ends": ends, "labels": labels}


def _question(row: Row) -> dict[str, Any]:
    """Return a question with its answer where that first occurs in the context, or without one."""
    context, target = text(row, "context"), text(row, "target")
    answers: dict[str, list[Any]] = {"text": [], "answer_start": []}
    if target != _NO_ANSWER:
        answers = {"text": [target], "answer_start": [max(context.find(target), 0)]}
    return {"id": str(row.get("id", "")), "question": text(row, "question"), "context": context, "answers": answers}


def _passage(row: Row) -> dict[str, Any]:
    """Return a question with its passage, or a passage of the index as a candidate."""
    passage, number = f"{row['title']} {text(row, 'context')}", str(row["id"])
    if "question" not in row:
        return {"id": None, "query": None, "candidate": number, "text": passage}
    question = text(row, "question")
    return {"id": f"{number} {question}", "query": question, "candidate": number, "text": passage}


def _rows(task: str, split: str, code: str = "{code}") -> Source:
    return Source(_REPO, f"{task}/{split}", code, format="jsonl")


def _question_task(name: str, folder: str, codes: str) -> Task:
    """Return a task of questions about a passage; English ones exist within one language only."""
    return Task(
        name=name,
        kind="span",
        languages=tuple(codes.split()),
        columns={name: name for name in ("id", "question", "context", "answers")},
        adapt=_question,
        train=_rows("qa_in_lang", "train", "en"),
        train_languages=_rows(folder, "train"),
        dev=_rows("qa_in_lang", "validation", "en"),
        test=_rows(folder, "test"),
        metrics=("f1",),
        unanswerable=True,
        defaults={"max_length": 384, "epochs": 2, "batch_size": 16},
        licence="CC BY-SA 4.0 (TyDi QA, XOR-TyDi QA)",
        citation=_CITATION,
        hint=_HINT,
    )


def _retrieval_task(name: str, folder: str, codes: str) -> Task:
    """Return a task of questions whose passage is to be found among all passages of the index."""
    return Task(
        name=name,
        kind="ranking",
        languages=tuple(codes.split()),
        columns={name: name for name in ("id", "query", "candidate", "text")},
        adapt=_passage,
        train=_rows("retrieval_in_lang", "train", "en"),
        train_languages=_rows(folder, "train"),
        dev=_rows("retrieval_in_lang", "validation", "en"),
        test=_rows(folder, "test"),
        pool=Source(_REPO, folder, "index", format="jsonl"),
        metrics=("mrr",),
        query_length=96,
        defaults={"max_length": 256, "epochs": 3, "batch_size": 16},
        licence="CC BY-SA 4.0 (TyDi QA, XOR-TyDi QA)",
        citation=_CITATION,
        hint=_HINT,
    )


def _ner(split: str) -> Source:
    mirror = Source("local/masakhaner-x", "{code}", split)
    return Source(_REPO, f"ner/{split}", "{code}", format="jsonl", mirrors=(mirror,))


masakhaner_x = Task(
    name="masakhaner_x",
    kind="entities",
    languages=tuple(_NER.split()),
    columns={name: name for name in ("text", "starts", "ends", "labels")},
    adapt=_entities,
    labels=_ENTITY_TYPES,
    train=Source("google/xtreme", "PAN-X.en", "train"),
    train_languages=_ner("train"),
    dev=Source("google/xtreme", "PAN-X.en", "validation"),
    test=_ner("test"),
    train_rows=20_000,
    licence="CC BY-NC 4.0",
    citation="Adelani et al. 2022, arXiv 2210.12391; Ruder et al. 2023, arXiv 2305.11938",
    hint=_HINT,
    defaults={"epochs": 10},
)

xtreme_up_qa = _question_task("xtreme_up_qa", "qa_in_lang", _IN_LANGUAGE)
xtreme_up_qa_cross = _question_task("xtreme_up_qa_cross", "qa_cross_lang", _CROSS_LANGUAGE)
xtreme_up_retrieval = _retrieval_task("xtreme_up_retrieval", "retrieval_in_lang", _IN_LANGUAGE)
xtreme_up_retrieval_cross = _retrieval_task("xtreme_up_retrieval_cross", "retrieval_cross_lang", _CROSS_LANGUAGE)
