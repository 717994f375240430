"""HTML, SVG and XML whose text cannot be mistaken for markup: it is escaped when it is put in, by construction."""

from html import escape

from limpet.report.wording import clean


class Markup(str):
    """Text that is markup already; any other text is escaped when it becomes part of it."""

    __slots__ = ()


def tag(name: str, /, *children: str, **attributes: str | float) -> Markup:
    """An element; `class_` and `stroke_width` name attributes as Python can, an empty attribute is left out."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value != ""
    )
    return Markup(f"<{name}{shown}>{join(*children)}</{name}>")


def join(*children: str) -> Markup:
    """Several pieces as one; those that are no markup are escaped."""
    return Markup("".join(child if isinstance(child, Markup) else escape(clean(child)) for child in children))


def _attribute(value: str | float) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    # A line end in an attribute would be read as a blank.
    return escape(clean(text)).replace("\n", "&#10;").replace("\t", "&#9;")
