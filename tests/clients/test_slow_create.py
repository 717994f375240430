"""A request that comes in two halves, against a server that notes what it has got."""

import asyncio
from pathlib import Path

import pytest

from limpet import contract as contracts
from limpet import history as histories
from limpet import shipped
from limpet.clients.sessions import User
from limpet.history import History


class Server:
    """Reads one request, and answers once it is whole."""

    def __init__(self) -> None:
        self.head = b""
        self.body = b""
        self.first_half = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        length = int(self.head.lower().split(b"content-length:")[1].split()[0])
        self.body = await reader.read(length)
        self.first_half.set()
        self.body += await reader.readexactly(length - len(self.body))
        answer = b'{"id": "7d3"}'
        writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer))
        await writer.drain()
        writer.close()


@pytest.mark.parametrize("cut", [False, True])
async def test_the_second_half_comes_when_it_is_told(tmp_path: Path, *, cut: bool) -> None:
    contract = contracts.load(shipped.contract("gadget"))
    history = History(tmp_path / "h", "drain")
    server, rest = Server(), asyncio.Event()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening, asyncio.timeout(20):
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with User(contract, history, url) as user:
            create = asyncio.create_task(user.create_slowly(rest, op="slow create"))
            await server.first_half.wait()
            half = server.body
            assert not create.done()
            if cut:
                create.cancel()
                await asyncio.wait([create])
            else:
                rest.set()
                assert await create == "7d3"
    history.close()
    (op,) = histories.read(tmp_path / "h").ops("slow create")
    assert half
    assert op.type == ("info" if cut else "ok")
    if not cut:
        assert len(half) < len(server.body)
        assert server.body.startswith(half)
        assert b"application/json" in server.head
        assert op.done
        assert op.done.session == "7d3"
