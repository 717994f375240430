"""`replicas`: the declared number of replicas is ready and each one serves through the ingress (guide, Test 1)."""

import pytest

from limpet.workloads import replicas
from limpet.workloads.stack import Stack


@pytest.mark.guarantee("replicas")
async def test_replicas(stack: Stack) -> None:
    """New clients come through the ingress until every replica has served its share."""
    await replicas.visit(stack)
