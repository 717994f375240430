"""The kinds of sources, by the name that a session gives."""

from reference_backend.sources.base import SourceKind
from reference_backend.sources.synthetic import Synthetic

SOURCES: dict[str, SourceKind] = {"synthetic": Synthetic}
