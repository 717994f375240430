"""New clients until every replica has served some of them."""

from limpet.checkers.replicas import VISITS_PER_REPLICA
from limpet.workloads.stack import Stack, at_most

CONCURRENT = 8


async def visit(stack: Stack) -> None:
    """Look at the pods, let clients without a cookie come through the ingress, look again."""
    await stack.snapshot()
    users = [await stack.user(sticky=False) for _ in range(CONCURRENT)]
    visits = stack.target.replicas * VISITS_PER_REPLICA

    async def one(number: int) -> None:
        await stack.visit(users[number % CONCURRENT], "visit")

    for start in range(0, visits, CONCURRENT):
        await at_most(CONCURRENT, [one(n) for n in range(start, min(start + CONCURRENT, visits))])
    await stack.snapshot()
