"""What a user sees while suites run: on a terminal what is under way, elsewhere a line for each that ended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Any

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from limpet.clock import NS_PER_S, now_ns


class Progress:
    """Reads events, one JSON object a line: {"begin": guarantee}, {"end": guarantee, "verdict", "duration_s"}."""

    def __init__(self, console: Console, count: int) -> None:
        self._console = console
        self._count = count
        self._done = 0
        self._running: dict[str, int] = {}
        self._live: Live | None = None

    def follow(self, events: BufferedReader) -> None:
        """Show events until there are no more."""
        with self._shown():
            for line in events:
                self._take(json.loads(line))

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if not self._console.is_terminal:
            yield
            return
        with Live(console=self._console, get_renderable=self._under_way, refresh_per_second=8, transient=True) as live:
            self._live = live
            yield

    def _take(self, event: dict[str, Any]) -> None:
        if "begin" in event:
            self._running[event["begin"]] = now_ns()
            return
        self._running.pop(event["end"], None)
        self._done += 1
        text = f"  {self._done:2} of {self._count}  {event['end']}: {event['verdict']} in {event['duration_s']} s"
        self._console.print(Text(text))

    def _under_way(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for name, since_ns in self._running.items():
            table.add_row(Spinner("dots"), f"{name}  {(now_ns() - since_ns) / NS_PER_S:.0f} s")
        return table
