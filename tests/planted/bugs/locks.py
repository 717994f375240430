"""Bugs around the lock of a session: taking it, keeping it, giving it back."""

from planted.base import plant
from planted.patching import edit_script
from reference_backend import scripts


@plant(caught_by="locking", unrelated="identity")
def release_without_token() -> None:
    """The release deletes the lock whoever holds it: a late one frees the lock of another."""
    edit_script(scripts.RELEASE, "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end", "")
