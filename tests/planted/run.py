"""`python -m planted.run NAME`: one replica of the reference backend with the bug NAME in it.

Set up as the backend is, by environment variables. Its log begins with `planted: NAME`.
"""

import sys

from planted import base


def main() -> int | str:
    """Plant, then run the backend's own main."""
    if len(sys.argv) != 2:
        return f"usage: python -m planted.run NAME\nthere are: {', '.join(base.load('backend'))}"
    name = sys.argv.pop()
    base.put_in(name, "backend")
    print(f"planted: {name}", flush=True)  # noqa: T201 - the replica's log; shows that the bug is in
    from reference_backend.__main__ import main as backend  # noqa: PLC0415 - only after the bug is in

    return backend()


if __name__ == "__main__":
    sys.exit(main())
