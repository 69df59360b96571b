"""
The Redis layer: all processes that reach one Redis or Valkey, or several.

In: CHANNEL_LAYERS. Out: the shared layer, on a RedisStore. redis-py must be
installed; hiredis makes it faster.
"""

from django.channels.exceptions import InvalidChannelLayerError

from .redis_store.hosts import parse_hosts
from .shared.layer import SharedChannelLayer


class RedisChannelLayer(SharedChannelLayer):
    """
    The layer of all processes that use one Redis or Valkey, or several of them.

    ``hosts`` is a list of servers, or a dict for sentinels or a cluster, and
    ``prefix`` the beginning of all keys: layers with other prefixes are apart.
    """

    def __init__(
        self,
        hosts=None,
        prefix="channels:",
        symmetric_encryption_keys=None,
        **options,
    ):
        _import_redis()
        self._servers = parse_hosts(hosts)
        self._prefix = _check_prefix(prefix)
        super().__init__(symmetric_encryption_keys=symmetric_encryption_keys, **options)

    def make_store(self):
        from .redis_store.store import RedisStore

        return RedisStore(self._servers, self._prefix, self.expiry)

    def check(self, reach=False):
        """See BaseChannelLayer.check(). With ``reach``, on servers' settings, too."""
        messages = super().check(reach)
        return messages + self._store.check() if reach else messages

    async def acheck(self, reach=False):
        return await self._courier.call(self.check, reach)


def _import_redis():
    try:
        import redis  # NOQA: F401
    except ImportError as error:
        raise InvalidChannelLayerError(
            "The Redis channel layer needs redis-py, which cannot be imported "
            f"({error}). Install it with: pip install 'Django[redis]'"
        ) from error


def _check_prefix(prefix):
    if not isinstance(prefix, str) or not prefix.isprintable() or set("{}") & {*prefix}:
        raise InvalidChannelLayerError(
            f"prefix must be a str without braces and control characters, not "
            f"{prefix!r}."
        )
    return prefix
