import shutil
import tempfile
from importlib import import_module

from django.channels.exceptions import ConsumeLater
from django.channels.session_stores import get_store
from django.channels.sessions import (
    channel_session,
    session_for_reply_channel,
)
from django.conf import settings
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.test import override_settings

from .session_case import BACKENDS, SessionTestCase
from .socket_messages import REPLY_CHANNEL
from .utils import patch_for


class RaceTests(SessionTestCase):
    """Two consumers of one socket, in different workers, at the same time."""

    def run_both(self):
        @channel_session
        def inner(message):
            message.channel_session["inner"] = 1
            message.channel_session.pop("old", None)

        @channel_session
        def outer(message):
            message.channel_session["outer"] = 1
            inner(self.message())

        outer(self.message())

    def test_what_both_change_is_kept(self):
        self.run_both()
        self.assertEqual(self.stored(), {"inner": 1, "outer": 1})

    def test_what_one_deletes_stays_deleted(self):
        session = session_for_reply_channel(REPLY_CHANNEL)
        session.update({"old": 1, "kept": 1})
        session.save()
        self.run_both()
        self.assertEqual(self.stored(), {"inner": 1, "outer": 1, "kept": 1})

    def test_a_cleared_session_is_empty(self):
        self.run_both()

        @channel_session
        def consumer(message):
            message.channel_session.clear()
            message.channel_session["new"] = 1

        consumer(self.message())
        self.assertEqual(self.stored(), {"new": 1})

    def test_a_session_that_others_make_all_the_time_is_consumed_later(self):
        store = type(session_for_reply_channel(REPLY_CHANNEL))

        def save_all(session, must_create):
            raise CreateError

        patch_for(self, store, "_save_all", save_all)

        @channel_session
        def consumer(message):
            message.channel_session["a"] = 1

        with self.assertRaisesMessage(ConsumeLater, "is being made by others"):
            consumer(self.message())


class EngineTests(SessionTestCase):
    """The engines behave alike."""

    def check(self, engine):
        with override_settings(SESSION_ENGINE=f"{BACKENDS}.{engine}"):
            one, two = (session_for_reply_channel(REPLY_CHANNEL) for _ in range(2))
            one["a"], two["b"] = 1, {"x": [1]}
            one.save()
            two.save()
            self.assertEqual(self.stored(), {"a": 1, "b": {"x": [1]}})
            one = session_for_reply_channel(REPLY_CHANNEL)
            one["b"]["x"].append(2)
            one.save()
            self.assertEqual(self.stored(), {"a": 1, "b": {"x": [1, 2]}})
            two["c"] = 3
            one.delete()
            with self.assertRaises(UpdateError):
                two.save()
            self.assertEqual(self.stored(), {})

    def test_db(self):
        self.check("db")

    def test_cached_db(self):
        self.check("cached_db")

    def test_cache(self):
        self.check("cache")

    def test_file(self):
        path = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, path)
        self.forget_path()
        self.addCleanup(self.forget_path)
        with override_settings(SESSION_FILE_PATH=path):
            self.check("file")

    def forget_path(self):
        base = import_module(f"{BACKENDS}.file").SessionStore
        for store in (base, get_store(f"{BACKENDS}.file", for_channels=True)):
            if "_storage_path" in vars(store):
                del store._storage_path

    def test_an_http_session_is_read_as_the_engine_wrote_it(self):
        for engine in ("db", "cached_db", "cache"):
            with (
                self.subTest(engine=engine),
                override_settings(SESSION_ENGINE=f"{BACKENDS}.{engine}"),
            ):
                key = self.make_http_session(a=1).session_key
                store = get_store(settings.SESSION_ENGINE)
                session = store(key)
                session["b"] = 2
                session.save()
                base = import_module(settings.SESSION_ENGINE).SessionStore
                self.assertEqual(dict(base(key).items()), {"a": 1, "b": 2})
