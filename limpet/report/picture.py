"""A timeline as a picture: inline SVG, whose colours come from the page, so that it is light or dark as the page is."""

from collections.abc import Iterator, Sequence
from itertools import count

from limpet.report.markup import Markup, join, tag
from limpet.report.timeline import Lane, Span, Strike, Timeline

_WIDTH, _LEFT, _RIGHT = 1000, 168, 14  # pixels at full size
_ROW, _BAR, _OPERATIONS = 22, 14, 84
_CHARACTER = 6.6  # pixels of one, on average, in the size of the labels
_TICKS_MAX = 9
_PHASES = {"pending": "pending", "ready": "ready", "not ready": "not-ready", "terminating": "terminating"}


class _Sheet:
    """Where things stand: seconds to pixels, and how far down the picture has come."""

    def __init__(self, duration_s: float) -> None:
        self.duration_s = max(duration_s, 1e-3)
        self.y = 0.0

    def x(self, at_s: float) -> float:
        share = min(1.0, max(0.0, at_s / self.duration_s))
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def row(self, height: float = _ROW) -> float:
        top, self.y = self.y, self.y + height
        return top


def picture(drawing: Timeline, findings: Sequence[tuple[int, float]]) -> Markup:
    """The SVG of one history; `findings` are marked: the number of each and where, in seconds from the first line."""
    sheet = _Sheet(drawing.duration_s)
    sheet.row(20)  # the axis
    rows = [
        *_bands(sheet, drawing),
        *(piece for lane in drawing.lanes for piece in _lane(sheet, lane)),
        *_operations(sheet, drawing),
        *_faults(sheet, drawing),
        *_findings(sheet, findings),
    ]
    height = sheet.y + 6
    grounds = [*_axis(sheet, height), *(_shade(sheet, strike, height) for strike in drawing.strikes)]
    return tag(
        "svg",
        *grounds,
        *rows,
        viewBox=f"0 0 {_WIDTH} {height:.0f}",
        role="img",
        aria_label="what happened when",
        class_="timeline",
    )


def _axis(sheet: _Sheet, height: float) -> Iterator[Markup]:
    step_s = _step(sheet.duration_s)
    for number in count():
        at_s = number * step_s
        if at_s > sheet.duration_s:
            return
        x = sheet.x(at_s)
        yield tag("line", x1=x, x2=x, y1=18, y2=height, class_="grid")
        yield tag("text", f"{at_s:g} s", x=x, y=12, class_="tick", text_anchor="middle")


def _step(duration_s: float) -> float:
    """The smallest of 1, 2, 5, 10, ... milliseconds, that gives few enough ticks."""
    step_s = 0.001
    while True:
        for factor in (1, 2, 5):
            if duration_s / (step_s * factor) <= _TICKS_MAX:
                return step_s * factor
        step_s *= 10


def _label(text: str, y: float) -> Markup:
    whole = tag("title", text)
    return tag("text", whole, _fit(text, _LEFT - 12), x=_LEFT - 10, y=round(y, 1), class_="label", text_anchor="end")


def _fit(text: str, width: float) -> str:
    """As much of the text as fits, "" when that would say nothing."""
    room = int(width / _CHARACTER)
    if len(text) <= room:
        return text
    return f"{text[: room - 1]}\N{HORIZONTAL ELLIPSIS}" if room > 3 else ""  # noqa: PLR2004  two letters say nothing


def _block(sheet: _Sheet, span: Span, top: float, class_: str, *, written: bool = False) -> Iterator[Markup]:
    left, right = sheet.x(span.start_s), sheet.x(span.end_s)
    width = max(right - left, 1.0)
    title = tag("title", f"{span.label}: {span.start_s:.3f} s to {span.end_s:.3f} s")
    yield tag("rect", title, x=left, y=round(top, 1), width=round(width, 1), height=_BAR, rx=2, class_=class_)
    shown = _fit(span.label, width - 8) if written else ""
    if shown:
        yield tag("text", shown, x=round(left + 4, 1), y=round(top + 10.5, 1), class_="inside")


def _bands(sheet: _Sheet, drawing: Timeline) -> Iterator[Markup]:
    if not drawing.bands:
        return
    top = sheet.row()
    yield _label("section", top + 11)
    for number, band in enumerate(drawing.bands):
        yield from _block(sheet, band, top, f"band{number % 2}", written=True)


def _lane(sheet: _Sheet, lane: Lane) -> Iterator[Markup]:
    top = sheet.row()
    yield _label(lane.pod, top + 11)
    yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=top + 7, y2=top + 7, class_="rail")
    for stretch in lane.stretches:
        yield from _block(sheet, stretch, top, _PHASES.get(stretch.label, "other"))
    for at_s in lane.starts_s:
        x = sheet.x(at_s)
        title = tag("title", f"started again in place at {at_s:.3f} s")
        yield tag("path", title, d=f"M{x} {top - 2:g} l4 -4 h-8 z", class_="again")


def _operations(sheet: _Sheet, drawing: Timeline) -> Iterator[Markup]:
    most = max(map(sum, drawing.operations))
    if not most:
        return
    sheet.row(6)
    top = sheet.row(_OPERATIONS)
    bottom = top + _OPERATIONS - 8
    scale = (_OPERATIONS - 16) / most
    bucket_s = sheet.duration_s / len(drawing.operations)
    yield _label("operations", top + 14)
    yield tag(
        "text", f"{most:,} at most in {bucket_s:.2g} s", x=_LEFT - 10, y=top + 30, class_="tick", text_anchor="end"
    )
    yield tag("line", x1=_LEFT, x2=_WIDTH - _RIGHT, y1=bottom, y2=bottom, class_="rail")
    for number, bucket in enumerate(drawing.operations):
        start_s = number * bucket_s
        left = sheet.x(start_s)
        width = max(0.5, round(sheet.x(start_s + bucket_s) - left - 1, 1))
        base = bottom
        words = ", ".join(f"{had:,} {kind}" for had, kind in zip(bucket, ("ok", "fail", "info"), strict=True))
        title = tag("title", f"{start_s:.2f} s: {words}")
        for had, kind in zip(bucket, ("ok", "fail", "info"), strict=True):
            if had:
                height = max(2.0, round(had * scale, 1))  # one failure among thousands is still seen
                base -= height
                yield tag("rect", title, x=left, y=round(base, 1), width=width, height=height, class_=f"op-{kind}")


def _faults(sheet: _Sheet, drawing: Timeline) -> Iterator[Markup]:
    if not drawing.strikes:
        return
    top = sheet.row()
    yield _label("faults", top + 11)
    for strike in drawing.strikes:
        steps = ", ".join(f"{step.phase} {step.at_s:.3f} s" for step in strike.steps)
        yield from _block(sheet, _extent(strike), top, "strike", written=True)
        for step in strike.steps:
            x = sheet.x(step.at_s)
            title = tag("title", f"{strike.fault}: {steps}")
            yield tag("line", title, x1=x, x2=x, y1=top + _BAR - 3, y2=top + _BAR + 4, class_="step")


def _extent(strike: Strike) -> Span:
    return Span(strike.fault, strike.steps[0].at_s, strike.steps[-1].at_s)


def _shade(sheet: _Sheet, strike: Strike, height: float) -> Markup:
    extent = _extent(strike)
    left = sheet.x(extent.start_s)
    width = max(1.0, round(sheet.x(extent.end_s) - left, 1))
    return tag("rect", x=left, y=18, width=width, height=round(height - 18, 1), class_="shade")


def _findings(sheet: _Sheet, findings: Sequence[tuple[int, float]]) -> Iterator[Markup]:
    if not findings:
        return
    top = sheet.row()
    yield _label("findings", top + 11)
    taken: set[float] = set()
    for number, at_s in findings:
        x = sheet.x(at_s)
        if x in taken:  # hundreds of marks in one place show no more than one
            continue
        taken.add(x)
        hair = tag("line", x1=x, x2=x, y1=18, y2=top, class_="hair")
        mark = tag("path", d=f"M{x} {top:g} l6 12 h-12 z", class_="finding")
        yield tag("a", join(tag("title", f"finding {number} at {at_s:.3f} s"), hair, mark), href=f"#finding-{number}")
