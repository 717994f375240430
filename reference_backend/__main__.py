"""`python -m reference_backend`: one replica, set up by environment variables."""

import asyncio
import gc
import logging
import signal
import sys

from reference_backend import settings

USAGE = """usage: python -m reference_backend [--help]

Starts one replica of the gadget-session service. SIGTERM stops it cleanly. Environment variables, defaults and meaning:

"""


def main() -> int | str:
    """Run until SIGTERM or SIGINT; gives the exit code, or why it could not start."""
    if len(sys.argv) > 1:
        wants_help = sys.argv[1:] in (["--help"], ["-h"])
        print(USAGE + settings.describe(), file=sys.stdout if wants_help else sys.stderr)
        return 0 if wants_help else 2
    given = settings.read()
    import uvloop  # noqa: PLC0415 - --help does without

    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return uvloop.run(_serve(given))


async def _serve(given: settings.Settings) -> int | str:
    from reference_backend.replica import Replica  # noqa: PLC0415 - --help does without

    replica = Replica(given)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, replica.stop)
    # What was imported lives for ever; looking through it at each collection would only delay events.
    gc.collect()
    gc.freeze()
    try:
        await replica.run()
    except OSError as error:
        return f"reference_backend: cannot listen on {given.host}:{given.port}: {error}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
