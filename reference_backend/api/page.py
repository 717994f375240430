"""`GET /`: a page to start gadgets, watch them live and search their history. One file, with nothing from elsewhere."""

import base64
import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FILE = Path(__file__).parents[1] / "page" / "index.html"


class Page:
    """The page, read once; its policy lets a browser run the page's own script and style and nothing else."""

    def __init__(self) -> None:
        self._content = FILE.read_bytes()
        script, style = (_digest(self._content, tag) for tag in (b"script", b"style"))
        policy = f"default-src 'none'; connect-src 'self'; script-src '{script}'; style-src '{style}'; base-uri 'none'"
        self._headers = {
            "Content-Security-Policy": f"{policy}; form-action 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
        }

    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/", self.show, methods=["GET"])]

    async def show(self, _request: Request) -> Response:
        """The page."""
        return Response(self._content, headers=self._headers, media_type="text/html")


def _digest(content: bytes, tag: bytes) -> str:
    """What names an inline script or style in a Content-Security-Policy."""
    inside = content.partition(b"<" + tag + b">")[2].partition(b"</" + tag + b">")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(inside).digest()).decode()
