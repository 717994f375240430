"""`identity`: every process has its own instance id, new at each start, the same in log, header, heartbeat and API."""

import json

from limpet.checkers.parts import PartBuilder
from limpet.contract import Contract
from limpet.history import Line, Section
from limpet.verdict import Judgement, Part

STARTS = 10


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `identity` from the lines `start` and what Redis and the API said after each."""
    starts = list(section.of("start"))
    parts = (
        _distinct(section, starts, contract),
        _header(section, starts, contract),
        _heartbeat(section, starts, contract),
        _api(section, starts, contract),
    )
    ids = {_id_of(line) for _, line in starts} - {""}
    evidence = {"starts": len(starts), "distinct ids": len(ids)}
    return Judgement(section.guarantee, parts, evidence=evidence, budget=f"{STARTS} starts, {STARTS} ids")


def _id_of(start: Line) -> str:
    return str(start.data.get("log") or start.data.get("header") or "")


def _named(start: Line) -> str:
    return f"{start.op} (restart {start.data.get('restarts', 0)})"


def _distinct(section: Section, starts: list[tuple[int, Line]], contract: Contract) -> Part:
    part = PartBuilder(section, "distinct", "starts", STARTS)
    if contract.log.instance is None and contract.http.instance_header is None:
        part.missing = "neither log.instance nor http.instance_header is in the contract"
        return part.done()
    first: dict[str, tuple[int, Line]] = {}
    for no, line in starts:
        part.had += 1
        id_ = _id_of(line)
        if not id_:
            expected = "a line that matches log.instance" if contract.log.instance else "an instance header"
            part.find(f"{_named(line)} told no instance id", expected=expected, lines=(no,))
        elif id_ in first:
            other = first[id_]
            part.find(
                f"{_named(line)} has the id {id_} of {_named(other[1])}",
                expected="a new id at each start",
                lines=(other[0], no),
            )
        else:
            first[id_] = (no, line)
    return part.done()


def _header(section: Section, starts: list[tuple[int, Line]], contract: Contract) -> Part:
    part = PartBuilder(section, "header", "starts", STARTS)
    if contract.http.instance_header is None or contract.log.instance is None:
        part.missing = f"{'http.instance_header' if contract.log.instance else 'log.instance'} is not in the contract"
        return part.done()
    for no, line in starts:
        part.had += 1
        if line.data.get("header") != line.data.get("log"):
            part.find(
                f"{_named(line)} answers as {line.data.get('header') or 'nobody'}",
                expected=f"{line.data.get('log') or 'an id'}, as in its log",
                lines=(no,),
            )
    return part.done()


def _heartbeat(section: Section, starts: list[tuple[int, Line]], contract: Contract) -> Part:
    missing = "" if contract.redis.heartbeat else "redis.heartbeat is not in the contract"
    return _told_after(section, starts, "heartbeats", "heartbeat", missing)


def _api(section: Section, starts: list[tuple[int, Line]], contract: Contract) -> Part:
    missing = "" if contract.http.instances else "http.instances is not in the contract"
    return _told_after(section, starts, "instances", "API", missing)


def _told_after(
    section: Section,
    starts: list[tuple[int, Line]],
    op: str,
    name: str,
    missing: str,
) -> Part:
    """Whether an answer to `op` after each start, and before the next, has its id."""
    part = PartBuilder(section, name, "starts", STARTS)
    part.missing = missing
    answers = [o for o in section.ops(op) if o.type == "ok" and o.done]
    ends = [no for no, _ in starts[1:]] + [len(section.lines) + 1]
    for (no, line), end in zip(starts if not missing else (), ends, strict=False):
        asked = [answer for answer in answers if no < answer.call_no < end]
        if not asked:
            continue
        part.had += 1
        if not any(_id_of(line) in json.dumps(answer.done.value) for answer in asked if answer.done):
            part.find(
                f"{_named(line)} is ready, and its id {_id_of(line)} is not in {name}",
                expected="the same id as in its log",
                lines=(no, asked[-1].done_no),
            )
    return part.done()
