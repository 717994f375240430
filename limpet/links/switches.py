"""What a link can be set to, as data. A switch holds for all connections of the link, those there are and that come.

`pass`: everything is relayed. `cut`: connections are reset. `blackhole`: they stay and nothing moves, either way; new
ones are accepted and stay as silent. What was kept back is delivered when the link passes again, also to a server whose
client has gone meanwhile, as a network would.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import translate
from typing import Any, Literal

Word = Literal["pass", "cut", "blackhole"]
Way = Literal["both", "there", "back"]  # `there` is from the pod to what it depends on


@dataclass(frozen=True, slots=True)
class Delay:
    """Everything comes `delay_s` later, give or take up to `jitter_s`, in its order: bytes, ends and resets."""

    delay_s: float
    jitter_s: float = 0.0
    way: Way = "both"


@dataclass(frozen=True, slots=True)
class Throttle:
    """Of each connection not more than `bytes_per_s` comes through, in each direction for itself."""

    bytes_per_s: float
    way: Way = "both"


@dataclass(frozen=True, slots=True)
class Flap:
    """Passes for `up_s`, is cut for `down_s`, again and again. Begins with passing."""

    up_s: float
    down_s: float


@dataclass(frozen=True, slots=True)
class CutAfterCommand:
    """The next command that `names` one of these reaches the server; its reply never comes: the connection is reset.

    Once; then the link passes. A command inside MULTI stands for its EXEC. Only where Redis is spoken.

    Attributes:
        names: patterns as of a shell, for keys or other arguments (`lock:session:*`) and command names (`SET`, in
            capitals).
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Commands that name one of these keys are kept back, from the `nth` one on, until the link is set otherwise.

    What comes behind on the same connection waits with it; other connections go on. Replies to what came through
    before are delivered. Only where Redis is spoken.

    Attributes:
        names: as of CutAfterCommand.
        nth: which command is the first to be kept back, counted over all connections of the link from when it was set.
    """

    names: tuple[str, ...]
    nth: int = 1


@dataclass(frozen=True, slots=True)
class Gate:
    """Commands that name one of these keys stand at a gate (gate.py) until they are let through one by one.

    Setting another gate keeps those that it names as well. Only where Redis is spoken.

    Attributes:
        names: as of CutAfterCommand.
    """

    names: tuple[str, ...]


Switch = Word | Delay | Throttle | Flap | CutAfterCommand | Hold | Gate
KINDS: Mapping[str, Any] = {kind.__name__: kind for kind in (Delay, Throttle, Flap, CutAfterCommand, Hold, Gate)}
WORDS = ("pass", "cut", "blackhole")


def encode(switch: Switch) -> Any:
    """As JSON: a word, or an object whose `kind` is the name of the class."""
    return switch if isinstance(switch, str) else {"kind": type(switch).__name__, **asdict(switch)}


def decode(value: Any) -> Switch:
    """From JSON. Raises ValueError when there is no such switch."""
    if isinstance(value, str):
        if value in WORDS:
            return value  # type: ignore[return-value]  # it is one of the words
        raise ValueError(f"no switch {value!r}; there are: {', '.join((*WORDS, *KINDS))}")
    fields = dict(value)
    kind = KINDS.get(fields.pop("kind", ""))
    if kind is None:
        raise ValueError(f"no switch {value!r}; there are: {', '.join((*WORDS, *KINDS))}")
    if "names" in fields:
        fields["names"] = tuple(fields["names"])
    made: Switch = kind(**fields)
    return made


class Names:
    """Patterns that a command's words are compared with."""

    def __init__(self, patterns: Iterable[str]) -> None:
        joined = "|".join(translate(pattern) for pattern in patterns)
        self._fits = re.compile(joined.encode(), re.DOTALL).match

    def named_by(self, words: Iterable[bytes]) -> bool:
        """Whether a command with these words names one: its name in capitals, keys and arguments as they are."""
        fits = self._fits
        return any(fits(word.upper() if place == 0 else word) for place, word in enumerate(words))
