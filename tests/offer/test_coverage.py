"""What can be judged with a contract is what the checkers say of it."""

from dataclasses import replace
from pathlib import Path

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Contract
from limpet.offer.coverage import Coverage, coverage, unjudgeable

MINIMAL = """
name = "small"
[http]
list = "GET /s"
create = "POST /s"
delete = "DELETE /s/{id}"
body = {}
[claims]
guarantees = ["replicas", "affinity"]
"""


def row(known: Contract, guarantee: str) -> Coverage:
    return next(row for row in coverage(known) if row.guarantee == guarantee)


def test_a_full_contract_lacks_nothing_that_has_a_suite() -> None:
    gadget = contracts.load(shipped.contract("gadget"))
    for claim in gadget.claims.guarantees:
        assert row(gadget, claim).missing == (), claim
        assert row(gadget, claim).reason == "", claim


def test_the_missing_key_is_named_for_each_part() -> None:
    guide = contracts.load(shipped.contract("guide"))
    missing = {part.name: part.missing for part in row(guide, "identity").missing}
    assert missing["header"] == "http.instance_header is not in the contract"
    assert row(guide, "identity").reason == ""


def test_a_claim_of_which_nothing_can_be_judged_is_told() -> None:
    small = contracts.parse(MINIMAL, Path("small.toml"))
    assert unjudgeable(coverage(small)) == ("affinity",)
    assert "redis.websocket" in row(small, "affinity").reason


def test_what_is_not_claimed_is_no_complaint() -> None:
    small = contracts.parse(MINIMAL, Path("small.toml"))
    modest = replace(small, claims=replace(small.claims, guarantees=("replicas",)))
    assert unjudgeable(coverage(modest)) == ()
