"""
Sessions that several consumers may write at once.

Used by sessions.py, auth.py and revocation.py: the stores of the session engines,
whose save() changes what was changed here and keeps what others wrote meanwhile.
"""

import copy
import threading
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib import import_module

from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.db import router, transaction
from django.db.models import F
from django.utils import timezone

# Locks of this process for engines whose store has none; keys share them.
_LOCKS = [threading.RLock() for _ in range(64)]


@lru_cache
def get_store(engine, for_channels=False):
    """
    Return the class of stores for a session engine, by its dotted path.

    With ``for_channels``, what is stored under a key is nothing to the engine
    itself: the key of a channel session is never one of an HTTP session. Raise
    ValueError for an engine that stores sessions in the client's cookie.
    """
    module = import_module(engine)
    if is_in_cookie(module.SessionStore):
        raise ValueError(
            "You cannot use channels session functionality with signed cookie "
            "sessions!"
        )
    base = module.SessionStore
    bases = (_ChannelMixin, base) if for_channels else (_MergingMixin, base)
    # The engine's salt is made from the name of the class.
    return type(base.__name__, bases, {"__qualname__": base.__qualname__})


def is_in_cookie(store_class):
    """Return whether stores of a class keep their sessions in the client's cookie."""
    from django.contrib.sessions.backends.signed_cookies import SessionStore

    return issubclass(store_class, SessionStore)


class _MergingMixin:
    """
    Keeps what was loaded, so that save() knows what changed since.

    Engines with a model merge under a lock on the row. Others do so under a
    lock of this process; between processes, what is saved in the same moment
    can be lost with them.
    """

    # Whether the store had the session when it was loaded; None before.
    existed = None
    _loaded = None

    def load(self):
        key = self._session_key
        data = super().load()
        # An engine takes another key for a session that it does not have.
        self.existed = self._session_key == key
        self._session_key = key
        self._loaded = copy.deepcopy(data)
        return data

    def save(self, must_create=False):
        """
        Store what changed since load(), beside what others changed.

        Raise CreateError as the engine does, UpdateError if the session was
        there when it was loaded and is gone.
        """
        if must_create or self._session_key is None:
            return self._save_all(must_create)
        if self.existed is False:
            # If others make it in this moment, theirs is merged below.
            with suppress(CreateError):
                return self._save_all(must_create=True)
        with self._exclusively():
            stored = self._read()
            if stored is None and self.existed:
                raise UpdateError
            if stored is None:
                return self._save_all(must_create=True)
            self._session_cache = self._merge(stored)
            self._save_all(must_create=False)

    def _save_all(self, must_create):
        super().save(must_create=must_create)
        self.existed = True
        self._loaded = copy.deepcopy(self._session_cache)
        self.modified = False

    def _merge(self, stored):
        """Return what is stored, with the changes made here."""
        mine = self._session
        # Never loaded if it was cleared: then nothing that is stored stays.
        loaded = dict(stored) if self._loaded is None else self._loaded
        for key in loaded:
            if key not in mine:
                stored.pop(key, None)
        for key, value in mine.items():
            if key not in loaded or loaded[key] != value:
                stored[key] = value
        return stored

    @contextmanager
    def _exclusively(self):
        if not hasattr(self, "model"):
            with _LOCKS[hash(self._session_key) % len(_LOCKS)]:
                yield
            return
        using = router.db_for_write(self.model)
        with transaction.atomic(using=using):
            # An update locks the row on every database.
            rows = self.model.objects.using(using).filter(pk=self._session_key)
            rows.update(expire_date=F("expire_date"))
            yield

    def _read(self):
        """Return what is stored now, None if nothing is. Called exclusively."""
        if hasattr(self, "model"):
            using = router.db_for_write(self.model)
            rows = self.model.objects.using(using).select_for_update()
            unexpired = {"pk": self._session_key, "expire_date__gt": timezone.now()}
            row = rows.filter(**unexpired).first()
            return None if row is None else self.decode(row.session_data)
        store = type(self)(self._session_key)
        data = store.load()
        return data if store.existed else None


class _ChannelMixin(_MergingMixin):
    """A store whose sessions the engine itself cannot read."""

    key_salt = "django.channels.sessions"
    cache_key_prefix = "django.channels.sessions"
