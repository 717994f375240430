"""verdict.json: a run as data, for pipelines to read and for every other report to be drawn from again.

It says everything twice where that helps its reader: verdicts, counts and the exit code follow from the parts, and
stand beside them. A file in which the two disagree was changed after the run, and is refused.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from limpet.errors import LimpetError
from limpet.report.run import Run, counts, line
from limpet.verdict import Judgement, Part

VERDICT_FILE = "verdict.json"


def save(run: Run, directory: Path) -> None:
    """Write verdict.json. What the evidence holds beside JSON's own types is kept as text.

    Raises:
        LimpetError: it could not be written.
    """
    plain = msgspec.to_builtins(run, enc_hook=str, str_keys=True)
    plain = json.loads(json.dumps(plain), parse_constant=str)  # NaN is no JSON, and other readers stop at it
    judgements = plain.pop("judgements")
    document = {
        "exit_code": run.exit_code,
        "line": line(run),
        "counts": {str(verdict): count for verdict, count in counts(run).items()},
        **plain,
        "guarantees": [_judgement(j, stored) for j, stored in zip(run.judgements, judgements, strict=True)],
    }
    replace(directory / VERDICT_FILE, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _judgement(judgement: Judgement, stored: dict[str, Any]) -> dict[str, Any]:
    name, parts = stored.pop("guarantee"), stored.pop("parts")
    return {
        "guarantee": name,
        "verdict": judgement.verdict,
        **stored,
        "parts": [_part(part, plain) for part, plain in zip(judgement.parts, parts, strict=True)],
    }


def _part(part: Part, stored: dict[str, Any]) -> dict[str, Any]:
    return {"name": stored.pop("name"), "verdict": part.verdict, **stored}


def load(directory: Path) -> Run:
    """The run whose verdict.json lies in `directory`.

    Raises:
        LimpetError: the file is missing, damaged, or disagrees with itself.
    """
    path = directory / VERDICT_FILE
    try:
        document = json.loads(path.read_bytes())
        stored = dict(document)
        stored["judgements"] = stored.pop("guarantees")
        run = msgspec.convert(stored, Run)
    except OSError as error:
        raise LimpetError(f"{path}: {error.strerror}; {directory} is no run, or it ended before its verdict") from error
    except (ValueError, TypeError, RecursionError) as error:  # msgspec's and json's errors are ValueErrors
        raise LimpetError(f"{path} is damaged ({error}); judge the run again: limpet recheck {directory}") from error
    except KeyError as error:
        raise LimpetError(f"{path} is damaged (no {error}); judge the run again: limpet recheck {directory}") from error
    said = [[row.get("verdict"), [part.get("verdict") for part in row["parts"]]] for row in document["guarantees"]]
    follows = [[j.verdict, [part.verdict for part in j.parts]] for j in run.judgements]
    if document.get("exit_code") != run.exit_code or said != follows:
        raise LimpetError(
            f"{path} was changed: what it says is not what follows from its parts (exit code {run.exit_code}); "
            f"judge the run again: limpet recheck {directory}"
        )
    return run


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader finds the old one or the new one, never a half, whenever this process dies.

    Lone surrogates, which UTF-8 cannot hold, become backslash escapes (the very form that JSON knows for them).

    Raises:
        LimpetError: it could not be written.
    """
    draft = None
    try:
        with tempfile.NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            draft = Path(file.name)
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o644)  # drafts are made private
        draft.replace(path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise LimpetError(f"cannot write {path}: {error.strerror}") from error
