"""Bugs of `ws:{id}`: removed too early, too late, or never."""

from planted.base import plant
from planted.patching import edit_script, replace
from reference_backend import scripts
from reference_backend.scripts import Script


@plant(caught_by="affinity", unrelated="replicas")
def ws_removed_by_late_close() -> None:
    """A close removes the key whoever stands in it: the late close of one watcher takes away that of the next.

    The key is set when a WebSocket opens, and afterwards only its life is prolonged.
    """
    late = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\nredis.call('DEL', KEYS[1])\n"
    edit_script(scripts.UNWATCHED, late, "do return redis.call('DEL', KEYS[1]) end\n")
    set_ = "if ARGV[3] == '1' or not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then"
    edit_script(scripts.WATCHED, set_, "if ARGV[3] == '1' or redis.call('EXISTS', KEYS[1]) == 1 then")


@plant(caught_by="affinity", unrelated="shared-view")
def ws_never_removed() -> None:
    """No close removes the key: it names a replica without a WebSocket until it expires."""
    replace(scripts, "UNWATCHED", Script("return 0"))


@plant(caught_by="affinity", unrelated="stickiness")
def ws_of_the_dead_stays() -> None:
    """The key has no life of its own, so the replica that was killed with its WebSockets stands in it for ever."""
    edit_script(
        scripts.WATCHED,
        "    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])",
        "    redis.call('SET', KEYS[1], ARGV[1])",
    )
    edit_script(scripts.WATCHED, "ARGV[1], 'NX', 'PX', ARGV[2])", "ARGV[1], 'NX')")
