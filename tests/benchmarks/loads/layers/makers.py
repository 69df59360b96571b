"""The layers that are compared, each by a name."""

from importlib import import_module

OURS = "django.channels.backends"


def make(kind, address, options):
    """Return a new layer; ``address`` is its server's or folder's."""
    return MAKERS[kind](address, options)


def ours_memory(address, options):
    return _class(f"{OURS}.memory", "MemoryChannelLayer")(**options)


def ours_ipc(address, options):
    return _class(f"{OURS}.ipc", "IPCChannelLayer")(path=address, **options)


def ours_redis(address, options):
    return _class(f"{OURS}.redis", "RedisChannelLayer")(hosts=[address], **options)


def ours_database(address, options):
    import django
    from django.conf import settings

    settings.configure(DATABASES={"default": address}, USE_TZ=True)
    django.setup()
    layer = _class(f"{OURS}.database", "DatabaseChannelLayer")(**options)
    layer.create_tables()
    return layer


def channels_memory(address, options):
    return _class("channels.layers", "InMemoryChannelLayer")(**options)


def channels_core(address, options):
    layer_class = _class("channels_redis.core", "RedisChannelLayer")
    return layer_class(hosts=[_patient(address)], **options)


def channels_pubsub(address, options):
    # It has no capacity.
    layer_class = _class("channels_redis.pubsub", "RedisPubSubChannelLayer")
    return layer_class(hosts=[_patient(address)])


def _patient(address):
    """Return a host; redis-py 8 ends the layers' own waits after 5 seconds."""
    return {"address": address, "socket_timeout": 60}


MAKERS = {
    "memory": ours_memory,
    "ipc": ours_ipc,
    "redis": ours_redis,
    "database": ours_database,
    "channels memory": channels_memory,
    "channels core": channels_core,
    "channels pub/sub": channels_pubsub,
}


def _class(module, name):
    return getattr(import_module(module), name)
