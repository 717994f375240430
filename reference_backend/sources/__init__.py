"""The kinds of sources, by the name that a session gives."""

from dataclasses import replace

from reference_backend.catalogue import GADGETS
from reference_backend.session import Session
from reference_backend.sources.base import Source, SourceKind
from reference_backend.sources.kubectl import Kubectl
from reference_backend.sources.synthetic import Synthetic, position_now

# Traffic by connection and by file is not to be had from psutil, nor are connects that failed.
_HOST = {name: GADGETS[name] for name in ("trace_tcp", "snapshot_process", "snapshot_socket", "top_process")}
_HOST["trace_tcp"] = replace(
    _HOST["trace_tcp"], parameters=tuple(p for p in _HOST["trace_tcp"].parameters if p.name != "failureOnly")
)


def _host(session: Session, _position: int) -> Source:
    from reference_backend.sources.host import Host  # noqa: PLC0415 - psutil takes 30 ms that most replicas do without

    return Host(session)


def _kubectl(session: Session, _position: int) -> Source:
    return Kubectl(session)


SOURCES: dict[str, SourceKind] = {
    "synthetic": SourceKind(Synthetic, GADGETS, position_now=position_now),
    "host": SourceKind(_host, _HOST, has_pods=False),
    "kubectl": SourceKind(_kubectl, GADGETS),
}
