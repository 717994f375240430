"""`stickiness`: a client with the cookie stays on one ready replica, HTTP and WebSocket alike; new clients spread.

A client is told from another by its process number. Which replica answered is what the answer itself says.
"""

import math
from collections import Counter, defaultdict
from itertools import pairwise

from limpet.checkers.parts import Answerers, PartBuilder, pods_of
from limpet.contract import Contract
from limpet.history import Op, Section
from limpet.verdict import Judgement, Part

CLIENTS = 50
REQUESTS = 20
FORGERIES = 5
SIGMAS = 3.0
COOKIE_ATTRIBUTES = ("httponly", "samesite=lax", "path=/")
STICKY_OPS = ("request", "create", "delete")


def check(section: Section, contract: Contract) -> Judgement:
    """Judge `stickiness` from the answers to clients with their cookies."""
    who = Answerers(section)
    clients: dict[int, list[Op]] = defaultdict(list)
    # once a replica has left, its clients have to move
    undisturbed = next((no for no, _ in section.of("fault")), len(section.lines) + 1)
    browsers = {op.call.process for op in section.ops("request")}
    for op in section.ops(*STICKY_OPS):
        if op.call.process in browsers and op.call_no < undisturbed:
            clients[op.call.process].append(op)
    parts = (
        _http(section, contract, who, clients),
        _socket(section, contract, who, clients),
        _cookie(section, contract, clients),
        _spread(section, contract, who, clients),
        _errors(section, contract),
        _forged(section, contract),
        _dead(section, contract, who, clients),
    )
    evidence = {
        "clients": len(clients),
        "requests": sum(map(len, clients.values())),
        "sockets": sum(op.type == "ok" for op in section.ops("connect")),
        "per replica": sorted(_first_choices(who, clients).values()),
    }
    return Judgement(section.guarantee, parts, evidence=evidence, budget="0 moves, 0 x 502")


def _unjudgeable(contract: Contract) -> str:
    return Answerers.missing(contract) if contract.ingress else "[ingress] is not in the contract"


def _http(section: Section, contract: Contract, who: Answerers, clients: dict[int, list[Op]]) -> Part:
    part = PartBuilder(section, "HTTP", "requests", CLIENTS * REQUESTS)
    part.missing = _unjudgeable(contract)
    for ops in clients.values() if not part.missing else ():
        answered = [op for op in ops if who.of(op)]
        part.had += len(answered)
        for before, op in pairwise(answered):
            if who.of(op) != who.of(before):
                part.find(
                    f"a client with its cookie went from {who.of(before)} to {who.of(op)}",
                    expected="one replica while it is ready",
                    lines=(before.done_no, op.done_no),
                )
    return part.done()


def _socket(section: Section, contract: Contract, who: Answerers, clients: dict[int, list[Op]]) -> Part:
    part = PartBuilder(section, "WebSocket", "sockets", CLIENTS)
    part.missing = _unjudgeable(contract) or Answerers.missing_for_sockets(contract)
    if part.missing:
        return part.done()
    connects = {op.call.session: op for op in section.ops("connect")}
    for _, line in section.of("socket"):
        ops = clients.get(int(line.data["process"]), [])
        home = next((op for op in ops if who.of(op)), None)
        connect = connects.get(str(line.data["session"]))
        if connect is None or home is None:
            continue
        part.had += 1
        served = who.of(connect)
        if connect.type == "ok" and served != who.of(home):
            part.find(
                f"a client of {who.of(home)} got its WebSocket from {served or 'an unnamed replica'}",
                expected="the same replica as its requests",
                lines=(home.done_no, connect.done_no),
            )
    return part.done()


def _cookie(section: Section, contract: Contract, clients: dict[int, list[Op]]) -> Part:
    part = PartBuilder(section, "cookie", "clients", CLIENTS)
    part.missing = "" if contract.ingress else "[ingress] is not in the contract"
    for ops in clients.values() if contract.ingress else ():
        first = next((op for op in ops if op.type == "ok"), None)
        if first is None or contract.ingress is None:
            continue
        part.had += 1
        cookie = first.data.get("set_cookie")
        if cookie is None:
            part.find(
                "a new client's first answer set no cookie",
                expected=f"Set-Cookie: {contract.ingress.cookie}=...",
                lines=(first.done_no,),
            )
            continue
        attributes = {piece.strip().lower() for piece in cookie.split(";")[1:]}
        absent = [wanted for wanted in COOKIE_ATTRIBUTES if wanted not in attributes]
        if absent:
            part.find(f"the cookie is set without {', '.join(absent)}: {cookie}", expected="all of them")
    return part.done()


def _first_choices(who: Answerers, clients: dict[int, list[Op]]) -> Counter[str]:
    firsts = (next((pod for op in ops if (pod := who.of(op))), "") for ops in clients.values())
    return Counter(pod for pod in firsts if pod)


def _spread(section: Section, contract: Contract, who: Answerers, clients: dict[int, list[Op]]) -> Part:
    """New clients are spread within three standard deviations of even (binomial for each replica)."""
    part = PartBuilder(section, "spread", "clients", CLIENTS)
    part.missing = _unjudgeable(contract)
    if part.missing:
        return part.done()
    chosen = _first_choices(who, clients)
    snapshot = next((pods_of(line) for _, line in section.of("pods")), [])
    ready = [pod["instance"] for pod in snapshot if pod["phase"] == "ready"]
    names = set(chosen) | {name for name in ready if name}
    replicas = max(len(ready), len(names), 1)
    part.had = chosen.total()
    even = part.had / replicas
    allowed = SIGMAS * math.sqrt(part.had * (1 / replicas) * (1 - 1 / replicas))
    counts = [chosen[name] for name in names] + [0] * (replicas - len(names))
    if any(abs(count - even) > allowed for count in counts):
        part.find(
            f"{part.had} new clients went to the replicas as {sorted(counts)}",
            expected=f"{even:g} +- {allowed:.1f} each",
        )
    return part.done()


def _errors(section: Section, contract: Contract) -> Part:
    """No failed request or handshake while all replicas are ready."""
    part = PartBuilder(section, "no errors", "requests and handshakes", CLIENTS * REQUESTS)
    wrong = contract.websocket.wrong_instance_text if contract.websocket else None
    for op in section.ops(*STICKY_OPS, "connect", "forged", "returns", "returned"):
        part.had += 1
        text = str(op.data.get("text", ""))
        if op.failed or (wrong and wrong in text):
            seen = f"{op.data.get('status', '')} {text or op.data.get('error', '')}".strip()
            part.find(
                f"{op.call.op} failed: {seen}",
                expected="no error while all replicas are ready",
                lines=(op.call_no, op.done_no),
            )
    return part.done()


def _forged(section: Section, contract: Contract) -> Part:
    """A cookie that the ingress never set gets an answer and a cookie that it did set."""
    part = PartBuilder(section, "forged cookie", "clients", FORGERIES)
    part.missing = "" if contract.ingress else "[ingress] is not in the contract"
    for op in section.ops("forged") if contract.ingress else ():
        part.had += 1
        if op.type == "ok" and "set_cookie" not in op.data:
            part.find("a forged cookie was not replaced", expected="a new Set-Cookie", lines=(op.done_no,))
    return part.done()


def _dead(section: Section, contract: Contract, who: Answerers, clients: dict[int, list[Op]]) -> Part:
    """After a replica left: its clients get another one and stick to that; the others' clients stay where they are."""
    part = PartBuilder(section, "dead cookie", "clients of the replica that left", 1)
    part.missing = _unjudgeable(contract)
    if part.missing:
        return part.done()
    again = {op.call.process: op for op in section.ops("returned")}
    alive = {who.of(op) for op in again.values()}
    for _, line in section.of("pods"):
        alive = {pod["instance"] for pod in pods_of(line)} or alive
    for op in section.ops("returns"):
        home = next((o for o in clients.get(op.call.process, ()) if who.of(o)), None)
        then = again.get(op.call.process)
        if home is None or then is None or not (who.of(op) and who.of(then)):
            continue
        was, is_, stays = who.of(home), who.of(op), who.of(then)
        if was not in alive:
            part.had += 1
            if "set_cookie" not in op.data:
                part.find("a dead cookie was not replaced", expected="a new Set-Cookie", lines=(op.done_no,))
        elif is_ != was:
            part.find(
                f"a client of {was}, which was ready all the time, was moved to {is_} when another left",
                expected="it stays",
                lines=(home.done_no, op.done_no),
            )
        if stays != is_:
            part.find(
                f"a returning client went from {is_} to {stays}",
                expected="one replica while it is ready",
                lines=(op.done_no, then.done_no),
            )
    return part.done()
