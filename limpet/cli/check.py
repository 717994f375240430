"""`limpet check`: judge a history that somebody gives us, of any store or lock, by the model of what it should be."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import click

from limpet.checkers import linearizable, linearizable_evidence, unique_registers
from limpet.checkers.linearizable import BUDGET_MIB, Result
from limpet.checkers.registers import Access, WrittenTwiceError
from limpet.errors import HistoryError
from limpet.models.base import Model, Operation
from limpet.models.catalogue import MODELS
from limpet.models.given import FORM, Numbered, json_lines, operations
from limpet.models.porcupine import etcd_lines, kv_lines
from limpet.models.values import shown
from limpet.verdict import EXIT_HELD, EXIT_UNKNOWN, EXIT_VIOLATED

FORMATS = ("jsonl", "etcd", "kv")
MODEL_OF = {"etcd": "cas", "kv": "map"}
OBJECTS_SHOWN = 20
STATES_SHOWN = 10
KEYS_SHOWN = 5


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--model",
    "-m",
    "model_name",
    type=click.Choice(list(MODELS)),
    help="What the object should be.  [default: cas for etcd, map for kv]",
)
@click.option(
    "--format",
    "-f",
    "form",
    type=click.Choice(["auto", *FORMATS]),
    default="auto",
    show_default=True,
    help="How FILE is written; auto looks at its first line.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=BUDGET_MIB,
    show_default=True,
    metavar="MIB",
    help="About how much the search may remember; when it is used up, the verdict is unknown.",
)
def check(*, file: Path, model_name: str | None, form: str, budget: float) -> int:
    """Judge whether the history in FILE is linearizable: one order of all operations explains every answer.

    \b
    FILE has one line for a call and one for its return, in the order in which they happened:
      {"process": 1, "type": "invoke", "op": "write", "key": "x", "value": 3}
      {"process": 1, "type": "ok", "op": "write", "key": "x"}
    type is invoke, then ok, fail (it did not happen) or info (nobody knows). The two formats of Porcupine's
    test histories (etcd, kv) are read too. docs/checkers.md tells the models and their operations.

    \b
    Exit codes: 0 held, 1 violated, 2 unknown (budget used up, nothing to judge, lines lost), 3 FILE cannot be read.
    """  # noqa: D301  \b is click's mark for text that keeps its lines
    form = _format(file) if form == "auto" else form
    name = model_name or MODEL_OF.get(form)
    if name is None:
        raise click.UsageError(f"{file} does not say what the object is; give --model: {', '.join(MODELS)}")
    lines = Lines(file, form)
    if name == "register":
        try:
            return _registers(lines)
        except WrittenTwiceError:
            pass  # only the search can tell which of the writes a read has seen
    return _searched(lines, MODELS[name], budget)


class Lines:
    """The lines of a file. They can be read again.

    Attributes:
        name: the file's.
        damage: after reading: why the record is not whole, "" when it is, or when it does not say.
    """

    def __init__(self, path: Path, form: str) -> None:
        self._path = path
        self._form = form
        self.name = path.name
        self.damage = ""

    def operations(self, model: Model) -> Iterator[Operation]:
        """What the model reads in them. Raises HistoryError."""
        return operations(self._numbered(), model, self.name)

    def _numbered(self) -> Iterator[Numbered]:
        try:
            if self._form == "jsonl":
                with self._path.open("rb") as file:
                    yield from self._whole(json_lines(file, self.name))
            else:
                parse = etcd_lines if self._form == "etcd" else kv_lines
                with self._path.open(encoding="utf-8") as file:
                    yield from parse(file, self.name)
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(self._path, error) from error

    def _whole(self, lines: Iterable[Numbered]) -> Iterator[Numbered]:
        """The same lines; a record that has a `begin` must have an `end` that says how many lie between them."""
        begun, count, last = False, 0, None
        for count, (no, line) in enumerate(lines, 1):  # noqa: B007  used after the loop
            last = line
            begun = begun or line.type == "begin"
            yield no, line
        if begun and last is not None:
            if last.type != "end":
                self.damage = "its end was never written, or is missing"
            elif last.data.get("lines") != count - 2:
                self.damage = f"it was written with {last.data.get('lines')} lines and has {count - 2}"


def _format(path: Path) -> str:
    """The format of a file, by its first line."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            first = next((line.strip() for line in file if line.strip()), "")
    except OSError as error:
        raise _unreadable(path, error) from error
    if first.startswith("{:"):
        return "kv"
    if first.startswith("{"):
        return "jsonl"
    if "jepsen.util - " in first:
        return "etcd"
    what = f"its first line is {first[:60]!r}" if first else "it is empty"
    raise HistoryError(
        f"{path} is no history that limpet knows: {what}; {FORM}; for other formats see docs/checkers.md"
    )


def _unreadable(path: Path, error: OSError | UnicodeDecodeError) -> HistoryError:
    why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
    return HistoryError(f"{path}: {why}; give a file with a history")


def _registers(lines: Lines) -> int:
    """Registers whose values are all different: in one pass, however long the history is."""
    count, registers, illegal = unique_registers.check(lines.operations(MODELS["register"]))
    what = f"{count:,} operations on {_objects(registers)}"
    if not illegal or lines.damage:
        return _close(lines, count, f"{what}: linearizable as register")
    click.echo(f"violated: {lines.name}: {what}: {_objects(len(illegal))} not linearizable as register")
    for key, reasons in list(illegal.items())[:OBJECTS_SHOWN]:
        for reason in reasons[:OBJECTS_SHOWN]:
            click.echo(f"  {_of(key)}{reason.why}")
            _show([(_lines(access), _told(access)) for access in reason.accesses])
    if len(illegal) > OBJECTS_SHOWN:
        click.echo(f"  and {len(illegal) - OBJECTS_SHOWN} more")
    return EXIT_VIOLATED


def _searched(lines: Lines, model: Model, budget: float) -> int:
    """Any object that has a model: by search."""
    objects = model.partition(lines.operations(model))
    count = sum(map(len, objects.values()))
    result = linearizable.check(objects, model, budget)
    what = f"{count:,} operations on {_objects(len(objects))}"
    if result.verdict == "illegal" and not lines.damage:
        click.echo(f"violated: {lines.name}: {what}: not linearizable as {model.name}")
        _show_stuck(result, model)
        return EXIT_VIOLATED
    if result.verdict == "unknown":
        some = ", ".join(shown(key) for key in result.open[:KEYS_SHOWN])
        more = f" and {len(result.open) - KEYS_SHOWN} more" if len(result.open) > KEYS_SHOWN else ""
        click.echo(
            f"unknown: {lines.name}: {what}: {len(result.open)} still open ({some}{more}) when the budget of "
            f"{budget:g} MiB was used up, after {result.configurations:,} configurations; give a larger --budget"
        )
        return EXIT_UNKNOWN
    return _close(lines, count, f"{what}: linearizable as {model.name}; {result.configurations:,} configurations")


def _close(lines: Lines, count: int, text: str) -> int:
    if lines.damage:
        click.echo(f"unknown: {lines.name} is not whole: {lines.damage}; nothing follows from what is left")
        return EXIT_UNKNOWN
    if count == 0:
        click.echo(f"unknown: {lines.name} has no operation that says anything; nothing was judged")
        return EXIT_UNKNOWN
    click.echo(f"held: {lines.name}: {text}")
    return EXIT_HELD


def _show_stuck(result: Result, model: Model) -> None:
    stuck = result.stuck
    assert stuck is not None
    proof = linearizable_evidence.prove(stuck, model)
    states = ", ".join(model.tell_state(state) for state in stuck.states[:STATES_SHOWN])
    more = f", ... ({len(stuck.states)} states)" if len(stuck.states) > STATES_SHOWN else ""
    told = model.tell(stuck.operation.action)
    click.echo(f"  {_of(stuck.key)}no order explains `{told}` (lines {_numbers(stuck.operation.lines)})")
    leading = f"lead to {states}{more}" if states else "lead to more states than can be looked at"
    click.echo(f"  {stuck.ordered} operations had returned before; they can be ordered, and {leading}")
    proving = "1 operation proves" if len(proof.operations) == 1 else f"{len(proof.operations)} operations prove"
    others = "1 other makes" if proof.others == 1 else f"{proof.others} others make"
    click.echo(f"  {proving} it; {others} no difference, whenever they happened and if at all:")
    rows = []
    for operation in proof.operations:
        mark = "   <- not explained" if operation is stuck.operation else ""
        mark = "   (it may also never have happened)" if operation in proof.loosened else mark
        rows.append((operation.lines, model.tell(operation.action) + mark))
    _show(rows)


def _show(rows: list[tuple[tuple[int, ...], str]]) -> None:
    width = max(len(_numbers(numbers)) for numbers, _ in rows)
    for numbers, text in rows:
        click.echo(f"    lines {_numbers(numbers):<{width}}  {text}")


def _numbers(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def _lines(access: Access) -> tuple[int, ...]:
    """Its lines: of its call, which its start is, and of its return."""
    return tuple(dict.fromkeys((int(access.start), access.line)))


def _told(access: Access) -> str:
    kind = "read" if access.kind == "absent" else access.kind
    return f"{kind} {shown(access.value)}" + ("" if access.outcome == "ok" else f" ({access.outcome})")


def _of(key: object) -> str:
    return "" if key == "" else f"{key}: "


def _objects(count: int) -> str:
    return f"{count:,} object" + ("" if count == 1 else "s")
