"""The two text formats of Porcupine's test histories, as lines of our own form.

- etcd: `INFO  jepsen.util - 2  :invoke  :cas  [3 0]`, as Jepsen's log has it: one compare-and-set register.
- kv: `{:process 0, :type :ok, :f :get, :key "5", :value ""}`, one EDN map a line: a map of texts.

Neither has times: the order of the lines is the order of the moments.
"""

import re
from collections.abc import Iterable, Iterator

from limpet.errors import HistoryError
from limpet.models.base import Given
from limpet.models.given import Numbered

_ETCD = re.compile(r"INFO\s+jepsen\.util - (\d+)\s+:(invoke|ok|fail|info)\s+:(read|write|cas)\s+(.+?)\s*")
_KV = re.compile(
    r"\{:process (\d+), :type :(invoke|ok|fail|info), :f :(get|put|append), "
    r':key "((?:[^"\\]|\\.)*)", :value (nil|"(?:[^"\\]|\\.)*")\}\s*'
)
_ESCAPED = re.compile(r"\\(.)")
_NOTHING = ("nil", ":timed-out")


def etcd_lines(texts: Iterable[str], source: str) -> Iterator[Numbered]:
    """Lines of the etcd format; empty ones are passed over. Raises HistoryError for any other."""
    for no, text in enumerate(texts, 1):
        match = _ETCD.fullmatch(text)
        if match:
            process, kind, op, shown = match.groups()
            data = {"error": "timed out"} if shown == ":timed-out" else {}
            yield no, Given(kind, op, int(process), value=_etcd_value(shown, source, no), data=data)
        elif text.strip():
            raise HistoryError(
                f"{source} line {no} is none of the etcd format: {text.strip()[:80]!r}; a line is "
                "`INFO  jepsen.util - 2  :invoke  :cas  [3 0]`; --format names another"
            )


def _etcd_value(shown: str, source: str, no: int) -> int | list[int] | None:
    if shown in _NOTHING:
        return None
    try:
        if shown.startswith("["):
            old, new = shown[1:-1].split()
            return [int(old), int(new)]
        return int(shown)
    except ValueError as error:
        raise HistoryError(
            f"{source} line {no}: the value {shown!r} is unknown; write nil, a number, [from to] or :timed-out"
        ) from error


def kv_lines(texts: Iterable[str], source: str) -> Iterator[Numbered]:
    """Lines of the kv format; empty ones are passed over. Raises HistoryError for any other."""
    for no, text in enumerate(texts, 1):
        match = _KV.fullmatch(text)
        if match:
            process, kind, op, key, shown = match.groups()
            value = None if shown == "nil" else _text(shown[1:-1])
            yield no, Given(kind, op, int(process), key=_text(key), value=value)
        elif text.strip():
            raise HistoryError(
                f"{source} line {no} is none of the kv format: {text.strip()[:80]!r}; a line is "
                '`{:process 0, :type :ok, :f :get, :key "5", :value ""}`; --format names another'
            )


def _text(inner: str) -> str:
    """A string of EDN without its quotes."""
    if "\\" not in inner:
        return inner
    return _ESCAPED.sub(lambda match: {"n": "\n", "t": "\t", "r": "\r"}.get(match[1], match[1]), inner)
