"""One seed, many named random streams, so that one more client does not move the faults."""

import random
import secrets


def fresh() -> int:
    """A seed short enough to be typed again."""
    return secrets.randbelow(1_000_000)


def stream(seed: int, name: str) -> random.Random:
    """The random stream `name` of `seed`; the same pair gives the same numbers on every machine."""
    return random.Random(f"{seed}/{name}")
