"""A harness of its own: starts a stack of the stub, tells what it started, and waits to be killed.

Argument: the folder to work in. One pod is stopped by SIGSTOP; both ignore SIGTERM and have children, one of which left
its session and one of which forks all the time. PostgreSQL has a busy backend.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncpg

from limpet.targets.base import Pause
from limpet.targets.local.descendants import postmaster, with_descendants

sys.path.insert(0, str(Path(__file__).parents[1]))
from targets.bench import Bench, guardian_pid, stack_folder


async def main(folder: Path) -> None:
    bench = Bench(folder)
    target = bench.target(bench.contract(flags="stubborn,children,forking", redis=True, postgres=True))
    async with target:
        connection = await asyncpg.connect(target.addresses()["postgres"], ssl=False)
        busy = asyncio.create_task(connection.execute("do $$ begin loop end loop; end $$"))
        await target.act(Pause("backend-2"))
        stack = stack_folder(target)
        database = postmaster(stack)
        assert database is not None
        pids = with_descendants(guardian_pid(target))
        sys.stdout.write(json.dumps({"stack": str(stack), "pids": pids, "segment": database[1]}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        busy.cancel()


if __name__ == "__main__":
    os.setsid()
    asyncio.run(main(Path(sys.argv[1])))
