"""Reading what a process logged: its last words for an error message, and the instance id of its present life."""

import re
from pathlib import Path

SHOWN_CHARS_MAX = 300
TAIL_BYTES = 16_384


def last_words(log: Path, offset: int = 0) -> str:
    """The last line that says something, from `offset` on; of a Python traceback that is the exception."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(offset, end - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if re.search(r"\w", line)]
    return said[-1][:SHOWN_CHARS_MAX] if said else ""


class InstanceLog:
    """Finds the instance id that a process logged: the last match of the contract's pattern since the process began."""

    def __init__(self, log: Path, offset: int, pattern: str | None) -> None:
        self._log = log
        self._offset = offset
        self._pattern = re.compile(pattern) if pattern else None
        self._instance = ""

    def instance(self) -> str:
        """Read on from where it was left; "" while nothing was found."""
        if self._pattern is None:
            return ""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]  # a line that is still being written is read the next time
        self._offset += len(whole)
        for match in self._pattern.finditer(whole.decode(errors="replace")):
            self._instance = match["instance"]
        return self._instance
