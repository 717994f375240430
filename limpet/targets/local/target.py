"""The local target: a whole stack on this machine, of real parts and several replicas.

    async with LocalTarget(contract, history, logs) as target:
        ...

It plays kubelet and endpoints controller. Everything that it starts is ended by its guardian, whatever happens to the
harness.
"""

import asyncio
import secrets
import shutil
import signal
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from redis.asyncio import Redis

from limpet.clock import NS_PER_S, now_ns
from limpet.contract import Contract
from limpet.errors import LimpetError, UnsupportedError
from limpet.history import History
from limpet.links.link import HOST
from limpet.owner import owner_pid as owner_in_environment
from limpet.targets.base import Action, Delete, Kill, Link, OnLinks, Pause, Pod, Restart, Resume, RollOut, Scale, Stall
from limpet.targets.local.deployment import Deployment, all_of
from limpet.targets.local.parts import Parts
from limpet.targets.local.pod import LocalPod
from limpet.targets.local.podmaking import Maker
from limpet.targets.local.ports import Ports
from limpet.targets.local.processes import Processes
from limpet.targets.local.stall import Stalls, unsupported

SIGNALS: Mapping[type[Action], signal.Signals] = {
    Kill: signal.SIGKILL,
    Pause: signal.SIGSTOP,
    Resume: signal.SIGCONT,
}
ABILITIES = ("pods", "log", "delete", "kill", "pause", "resume", "scale", "rollout", "restart")


class LocalTarget:
    """A stack. See base.Target for what is not said here.

    Attributes:
        timing: what of the start was done how many seconds after it began.
    """

    def __init__(
        self,
        contract: Contract,
        history: History,
        logs: Path,
        *,
        replicas: int = 2,
        port: int | None = None,
        owner_pid: int | None = None,
    ) -> None:
        """Nothing is started yet.

        Args:
            contract: of the backend to start replicas of.
            history: where changes of pods and parts are written.
            logs: the folder for the logs of everything; it stays when the stack is gone.
            replicas: how many to start.
            port: where the ingress listens on 127.0.0.1; None or 0 for any free port.
            owner_pid: the process that the user started; None for what the environment says.
        """
        self.contract = contract
        self.base_url = ""
        self.timing: dict[str, float] = {}
        self._history = history
        self._logs = logs.resolve()
        self._port = port
        self._owner_pid = owner_in_environment() if owner_pid is None else owner_pid
        self._ports = Ports()
        self._maker = Maker(contract, self._ports, self._logs)
        self._began_ns = 0
        self._processes: Processes | None = None
        self._stalls = Stalls()
        self._parts: Parts | None = None
        self._deployment = Deployment(
            replicas,
            make=self._make_pod,
            unmake=self._unmake_pod,
            settled=self._settled,
            unlisted=self._unlisted,
            pre_stop_s=contract.timing.pre_stop_s,
            grace_s=contract.timing.grace_period_s,
        )

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def replicas(self) -> int:
        """The declared number of replicas."""
        return self._deployment.wanted

    async def start(self) -> None:
        """Start everything at once; returns when every replica is ready and answers through the ingress.

        Raises:
            PartFailedError: something did not start; all the rest is ended again.
        """
        self._began_ns = now_ns()
        try:
            await self._start()
        except BaseException as failure:
            await self.close()
            if isinstance(failure, BaseExceptionGroup):  # all that failed at once; the first is the cause
                raise failure.exceptions[0] from None
            raise

    async def _start(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        port = self._ports.take_fixed(self._port) if self._port else self._ports.take()
        self.base_url = f"http://{HOST}:{port}"
        folder = Path(tempfile.gettempdir()) / f"limpet-{secrets.token_hex(4)}"
        processes = self._processes = Processes(folder, self._logs / "guardian.log")
        await processes.open(self._owner_pid)
        self._reached("guardian answers")
        parts = self._parts = Parts(
            processes,
            self._ports,
            self._logs,
            contract=self.contract,
            maker=self._maker,
            history=self._history,
            port=port,
            listing_changed=self._listing_changed,
            left_ingress=self._left_ingress,
        )
        async with asyncio.TaskGroup() as group:
            for name in parts.names:
                group.create_task(parts.start(name, self._reached))
            group.create_task(self._start_pods(group))
        await parts.endpoints.settled()
        self._reached("routes live")
        for address in sorted(parts.endpoints.listed):
            await parts.ingress.await_answer(address)
        self._reached("every replica answers through the ingress")

    async def close(self) -> None:
        """End everything; returns when nothing is left. Closing again does nothing."""
        await self._stalls.end_all()
        for pod in self._deployment.pods:
            await pod.abandon()
        if self._parts:
            await self._parts.close()
            self._parts = None
        if self._processes:
            processes, self._processes = self._processes, None
            await processes.close()
            # left only if both halves of the guardian were killed at once
            await asyncio.to_thread(shutil.rmtree, processes.folder, ignore_errors=True)
        self._ports.close()

    def addresses(self) -> dict[str, str]:
        """Where a user finds what: name -> address."""
        parts = self._running()
        found = {"ingress": self.base_url, "routes": f"http://{HOST}:{parts.ingress.api_port}/api/http/services"}
        urls = {"redis": "redis://{}:{}/0", "postgres": "postgresql://postgres@{}:{}/postgres"}
        return found | {name: urls[name].format(HOST, port) for name, port in parts.upstreams.items()}

    def capabilities(self) -> Mapping[str, str]:
        """Everything can be done but what concerns a part that this contract does not need."""
        no_redis = "" if self._maker.needs("redis") else "the contract's local command takes no Redis"
        no_link = no_redis and ("" if self._maker.needs("postgres") else f"{no_redis} and no database")
        of_redis = dict.fromkeys(("redis", "trace", "listen", "admit"), no_redis)
        return dict.fromkeys(ABILITIES, "") | of_redis | {"link": no_link, "stall": unsupported()}

    async def pods(self) -> list[Pod]:
        """All pods, those that are ending too, oldest first. Raises PartFailedError when a part of the stack died."""
        listed = self._running().endpoints.listed
        return [pod.seen(listed=pod.spec.address in listed) for pod in self._deployment.pods]

    async def act(self, action: Action) -> None:
        """Carry out an action; see base.Target."""
        parts = self._running()
        deployment = self._deployment
        match action:
            case Delete(pod, grace_s):
                await deployment.delete(deployment.pod(pod), grace_s)
            case Stall(pod):
                await self._stalls.begin(pod, deployment.pod(pod).pid)
            case Kill(pod) | Pause(pod) | Resume(pod):
                await self._stalls.end(pod)
                await deployment.pod(pod).signal(SIGNALS[type(action)])
            case Scale(replicas):
                await deployment.scale(replicas)
            case RollOut():
                await deployment.roll_out()
            case Restart(part, hard):
                await parts.restart(part, hard=hard)
            case _:
                await self._act_on_links(parts, action)

    def redis(self) -> Redis:
        """A client of Redis past all links, named `limpet` there; the caller closes it."""
        port = self._running().upstreams.get("redis")
        if port is None:
            raise UnsupportedError("redis", self.capabilities()["redis"])
        return Redis(host=HOST, port=port, decode_responses=True, client_name="limpet")

    async def log(self, pod: str) -> str:
        """All that the pod logged, over all its processes, pods that are gone included."""
        path = self._logs / f"{pod}.log"
        if not path.is_file():
            raise LimpetError(f"there was no pod {pod!r}: {path} is missing")
        return path.read_text(encoding="utf-8", errors="replace")

    async def _act_on_links(self, parts: Parts, action: OnLinks) -> None:
        dependency = action.dependency if isinstance(action, Link) else "redis"
        if parts.relay is None or dependency not in parts.upstreams:
            name = type(action).__name__.lower()
            raise UnsupportedError(name, f"the contract's local command takes no {dependency}")
        if isinstance(action, Link):
            self._deployment.pod(action.pod)  # raises where there is none
        await parts.relay.act(action)

    def _running(self) -> Parts:
        if self._processes is None or self._parts is None:
            raise LimpetError("the local target is not running: use it between start() and close()")
        self._processes.check()
        self._parts.check()
        return self._parts

    async def _start_pods(self, group: asyncio.TaskGroup) -> None:
        await self._deployment.fill()
        for pod in self._deployment.staying:
            group.create_task(self._await_ready(pod))

    async def _await_ready(self, pod: LocalPod) -> None:
        await pod.until_ready()
        self._reached(f"{pod.spec.name} ready")

    async def _make_pod(self) -> LocalPod:
        parts = self._running()
        assert self._processes is not None  # _running() has seen to it
        blueprint = self._maker.make(parts.upstreams)
        with ExitStack() as listeners:
            for link in blueprint.links:
                listeners.enter_context(link.listener)
            pod = LocalPod(blueprint.spec, self._processes, self._changed)
            self._deployment.pods.append(pod)
            if parts.relay:
                await all_of(*(parts.relay.links.open(link.route, link.listener) for link in blueprint.links))
        return pod

    async def _unmake_pod(self, pod: LocalPod) -> None:
        relay = self._running().relay
        if relay:
            await relay.links.close_pod(pod.spec.name)
        self._ports.give_back(pod.spec.port)

    async def _settled(self) -> None:
        await self._running().endpoints.settled()

    async def _unlisted(self) -> None:
        await self._running().endpoints.obeyed()

    def _changed(self, pod: LocalPod, event: str, data: Mapping[str, Any]) -> None:
        """Bring the endpoints in line with the pods at once, and write down what changed."""
        self._note(pod, event, **data)
        if self._parts:
            self._parts.endpoints.send_to([one.spec.address for one in self._deployment.pods if one.phase == "ready"])

    def _listing_changed(self, address: str) -> None:
        assert self._parts is not None  # which has told of this
        self._note_at(address, "listed" if address in self._parts.endpoints.listed else "unlisted")

    def _left_ingress(self, address: str) -> None:
        self._note_at(address, "left the ingress")

    def _note_at(self, address: str, event: str) -> None:
        for pod in self._deployment.pods:
            if pod.spec.address == address:
                self._note(pod, event)

    def _note(self, pod: LocalPod, event: str, **data: Any) -> None:
        listed = self._parts is not None and pod.spec.address in self._parts.endpoints.listed
        seen = pod.seen(listed=listed and pod.phase == "ready")
        self._history.note(
            "pod",
            event,
            name=seen.name,
            phase=seen.phase,
            instance=seen.instance,
            restarts=seen.restarts,
            listed=seen.listed,
            address=seen.address,
            source=pod.spec.source,
            **data,
        )

    def _reached(self, what: str) -> None:
        self.timing[what] = (now_ns() - self._began_ns) / NS_PER_S
