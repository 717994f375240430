from pathlib import Path

import pytest

from limpet import contract as contracts
from limpet import shipped
from limpet.contract import Endpoint
from limpet.errors import ContractError

SMALL = """
name = "small"
[http]
list = "GET /s"
create = "POST /s"
delete = "DELETE /s/{id}"
body = { a = 1 }
[claims]
guarantees = ["replicas"]
"""
HERE = Path("small.toml")


@pytest.mark.parametrize("name", ["gadget", "guide"])
def test_shipped_contracts_are_valid(name: str) -> None:
    assert contracts.load(shipped.contract(name)).name == name


def test_what_is_left_out_is_not_offered() -> None:
    contract = contracts.parse(SMALL, HERE)
    assert contract.http.read is None
    assert contract.redis.session is None
    assert contract.websocket is None
    assert contract.http.delete == Endpoint("DELETE", "/s/{id}")


def test_settings_carry_the_times_under_the_prefix() -> None:
    settings = contracts.load(shipped.contract("gadget")).with_timing(heartbeat_interval_s=0.5).settings()
    assert settings["BACKEND_HEARTBEAT_INTERVAL_S"] == "0.5"
    assert settings["BACKEND_LOCK_TTL_S"] == "10"


def test_without_a_prefix_there_are_no_settings() -> None:
    assert contracts.load(shipped.contract("guide")).settings() == {}


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ('list = "GET /s"', "", r"missing key `http\.list`; write list = "),
        ('list = "GET /s"', 'list = "/s"', r'`http\.list` is .*write a method and a path: "GET /api/sessions"'),
        ('list = "GET /s"', "list = 3", r"`http\.list` is 3; write a method"),
        ('list = "GET /s"', 'list = "GET /s"\nlsit = "GET /s"', r"unknown key `http\.lsit`; did you mean `list`\?"),
        ('"DELETE /s/{id}"', '"DELETE /s"', r"`http\.delete` is '/s'; it must contain \{id\}"),
        ("{ a = 1 }", '"a"', r"`http\.body` is 'a'; write a table"),
        ('["replicas"]', '["replicsa"]', r"`claims\.guarantees` has 'replicsa'; did you mean `replicas`\?"),
        ('["replicas"]', '"replicas"', r"`claims\.guarantees` is 'replicas'; write a list of strings"),
        ('name = "small"', "", r'missing key `name`; write name = "my-backend"'),
        ("[claims]", "[redis]\nlock = 'lock'\n[claims]", r"`redis\.lock` is 'lock'; it must contain \{id\}"),
        ("[claims]", "[log]\ninstance = '('\n[claims]", r"`log\.instance` is no regular expression"),
        ("[claims]", "[log]\ninstance = 'x'\n[claims]", r"`log\.instance` needs a named group: \(\?P<instance>"),
        ("[claims]", "[timing]\nlock_ttl_s = -1\n[claims]", r"`timing\.lock_ttl_s` is -1; write a number of seconds"),
        ("[claims]", "[timing]\nlock_ttl_s = true\n[claims]", r"`timing\.lock_ttl_s` is True; write a number"),
        ("[claims]", "[timing]\nlock_ttl_s = nan\n[claims]", r"`timing\.lock_ttl_s` is nan; write a number"),
        ("[claims]", "[local]\ncommand = []\n[claims]", r"`local\.command` is empty"),
        ("[claims]", "[local]\ncommand = ['{prot}']\n[claims]", r"`local` uses \{prot\}, which is not known"),
        (
            "[claims]",
            "[ingress]\ncookie='c'\nkind='nginx'\n[claims]",
            r"`ingress\.kind` is 'nginx'; write one of: 'traefik'",
        ),
        ("[http]", "[http", "not valid TOML"),
    ],
)
def test_a_mistake_names_the_key_and_the_remedy(wrong: str, right: str, said: str) -> None:
    with pytest.raises(ContractError, match=said) as raised:
        contracts.parse(SMALL.replace(wrong, right, 1), HERE)
    assert str(raised.value).startswith("contract small.toml: ")


def test_a_missing_file_says_how_to_give_one(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="--contract FILE"):
        contracts.load(tmp_path / "none.toml")
