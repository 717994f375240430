"""Frames that go straight to the connection: they are what RFC 6455 says, and uvicorn's class is as they need it."""

import asyncio
import inspect
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.streams import StreamReader

from reference_backend.channels import FrameChannel, MessageChannel, channel_to
from reference_backend.frames import Batch, FrameProtocol, text_frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_a_frame_is_read_back_as_one_unmasked_text_message(size: int) -> None:
    reader = StreamReader()
    reader.feed_data(text_frame(b"x" * size))
    reader.feed_eof()
    parsing = Frame.parse(reader.read_exact, mask=False, max_size=None)
    with pytest.raises(StopIteration) as parsed:
        next(parsing)
    frame = parsed.value.value
    assert (frame.opcode, frame.fin, bytes(frame.data)) == (1, True, b"x" * size)


def test_the_part_of_a_batch_after_a_message_is_what_follows_it() -> None:
    batch = Batch(5, [b"5", b"6", b"7"])
    assert batch.last == 7
    assert batch.after(4) is batch
    assert (batch.after(5).first, batch.after(5).messages) == (6, [b"6", b"7"])
    assert batch.frames == b"".join(map(text_frame, batch.messages))


def test_uvicorns_protocol_still_has_what_the_frames_lean_on() -> None:
    source = inspect.getsource(WebSocketsSansIOProtocol)
    for attribute in (
        "self.transport",
        "self.close_sent",
        "self.disconnected",
        "self.writable",
        "self.read_paused",
        "self.close_timer",
        "self.queue",
        "self.conn",
        "self.scope",
        "self.handshake_complete",
    ):
        assert attribute in source
    assert inspect.iscoroutinefunction(WebSocketsSansIOProtocol.run_asgi)
    assert "self.conn.send_close(code, reason)" in inspect.getsource(WebSocketsSansIOProtocol.send)
    assert "self.close_timer is None" in inspect.getsource(WebSocketsSansIOProtocol.run_asgi)


class Echo:
    """Sends what the test says, over whatever channel the server offers."""

    def __init__(self) -> None:
        self.kinds: list[type] = []
        self.channels: asyncio.Queue[FrameChannel | MessageChannel] = asyncio.Queue()

    async def serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        channel = channel_to(websocket)
        assert isinstance(channel, FrameChannel | MessageChannel)
        self.kinds.append(type(channel))
        self.channels.put_nowait(channel)
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass
        channel.write(Batch(1, [b"after the close"]))
        channel.finish(1000, "again")
        channel.drop()


class Quiet(uvicorn.Server):
    """Leaves the signals to pytest."""

    def install_signal_handlers(self) -> None:
        return


@pytest_asyncio.fixture(loop_scope="session", params=[FrameProtocol, WebSocketsSansIOProtocol])
async def echo(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Echo, int]]:
    echo = Echo()
    app = Starlette(routes=[WebSocketRoute("/", echo.serve)])
    config = uvicorn.Config(
        app, ws=request.param, ws_per_message_deflate=False, lifespan="off", log_config=None, loop="none"
    )
    server = Quiet(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server._serve([listener]))
        yield echo, listener.getsockname()[1]
        server.should_exit = True
        await serving


async def test_messages_and_the_close_arrive_in_order_over_either_channel(echo: tuple[Echo, int]) -> None:
    made, port = echo
    async with connect(f"ws://127.0.0.1:{port}/") as client:
        channel = await made.channels.get()
        channel.write(Batch(1, [b"one", "zw\u00f6lf".encode()]))
        await channel.drained()
        channel.write(Batch(3, [b"x" * 70_000]))
        channel.finish(4408, "reader too slow")
        channel.write(Batch(4, [b"never"]))
        received = [await client.recv() for _ in range(3)]
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert received == ["one", "zw\u00f6lf", "x" * 70_000]
        assert (client.close_code, client.close_reason) == (4408, "reader too slow")


async def test_a_write_after_the_client_left_is_no_error(echo: tuple[Echo, int]) -> None:
    made, port = echo
    async with connect(f"ws://127.0.0.1:{port}/"):
        channel = await made.channels.get()
    channel.write(Batch(1, [b"too late"]))
    channel.finish(1012, "too late")
