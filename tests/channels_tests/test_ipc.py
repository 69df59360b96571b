"""The ipc layer and its store keep the contracts of both."""

import os
import sys
import tempfile
import types
from pathlib import Path
from unittest import mock

from django.channels.backends.ipc import IPCChannelLayer
from django.channels.backends.lmdb_store import care, place
from django.channels.backends.lmdb_store.environment import share
from django.channels.backends.shared.store import (
    AHEAD,
    MEMORY_SECONDS,
    UNCLAIMED_SECONDS,
)
from django.channels.exceptions import InvalidChannelLayerError, LayerUnavailable
from django.test import SimpleTestCase
from django.test.channel_layers import ChannelLayerConformanceTests

from .ipc import IPCTests
from .stores import StoreTests
from .utils import TIMEOUT


class LMDBStoreTests(IPCTests, StoreTests, SimpleTestCase):
    def end(self, store):
        store._life.end()
        # What another process does once a second.
        self.make_store().renew()

    def test_who_has_emptied_an_inbox_and_comes_again_is_rung(self):
        reader, writer = self.make_store(), self.make_store()
        for store in (reader, writer):
            store.renew()
        self.assertFalse(reader.hears("in!"))
        self.assertEqual(reader.take(["in!"], 1, wait=AHEAD), [])
        for n in range(3):
            with self.subTest(n=n):
                self.assertTrue(reader.hears("in!"))
                writer.append([("in!", 9, [b"1", b"2"])])
                self.assertEqual(reader.listen(TIMEOUT), [("in!", None)])
                self.assertFalse(reader.hears("in!"))
                # With something left, nobody rings: there is more to take.
                self.assertEqual(len(reader.take(["in!"], 1, wait=AHEAD)), 1)
                self.assertFalse(reader.hears("in!"))
                self.assertEqual(len(reader.take(["in!"], 1, wait=AHEAD)), 1)

    def test_a_call_that_fails_leaves_nobody_waiting(self):
        store = self.make_store()
        store.renew()
        with mock.patch.object(store, "_run", side_effect=LayerUnavailable("away")):
            with self.assertRaises(LayerUnavailable):
                store.take(["in!"], 1, wait=AHEAD)
        self.assertFalse(store.hears("in!"))


class IPCConformanceTests(IPCTests, ChannelLayerConformanceTests, SimpleTestCase):
    layer_class = IPCChannelLayer

    def get_options(self):
        # Each form begins with an empty layer.
        return {"path": tempfile.mkdtemp(dir=self.path)}

    def stop_store(self, layer):
        """Put a file in the directory's place, and have the open one forgotten."""
        environment = share(layer.path, 0)
        # Nobody makes a new directory in between.
        with environment._lock:
            os.rename(layer.path, f"{layer.path}.away")
            Path(layer.path).touch()
            environment.forget()

    def start_store(self, layer):
        with share(layer.path, 0)._lock:
            os.unlink(layer.path)
            os.rename(f"{layer.path}.away", layer.path)

    def lose_data(self, layer):
        with share(layer.path, 0)._lock:
            for file in Path(layer.path).glob("*/*.mdb"):
                file.unlink()


class BusyIPCConformanceTests(IPCConformanceTests):
    callers = 8


class OptionTests(IPCTests, SimpleTestCase):
    def test_a_bad_path_is_refused(self):
        for path in ("relative", "", b"/bytes", 1):
            with self.subTest(path=path):
                text = f"path must be the absolute path of a directory, not {path!r}."
                with self.assertRaisesMessage(InvalidChannelLayerError, text):
                    IPCChannelLayer(path=path)

    def test_a_bad_size_is_refused(self):
        for size in (0, 1024, "1", 1e9, True):
            with self.subTest(size=size):
                text = f"size must be a number of bytes, 1048576 at least, not {size!r}"
                with self.assertRaisesMessage(InvalidChannelLayerError, text):
                    IPCChannelLayer(path=self.path, size=size)

    def test_a_path_object_is_a_path(self):
        self.assertEqual(IPCChannelLayer(path=Path(self.path)).path, self.path)

    def test_without_lmdb_it_says_what_to_install(self):
        text = "needs lmdb, which cannot be imported"
        with mock.patch.dict(sys.modules, {"lmdb": None}):
            with self.assertRaisesMessage(InvalidChannelLayerError, text) as caught:
                IPCChannelLayer(path=self.path)
        self.assertIn("pip install 'Django[ipc]'", str(caught.exception))

    def test_making_a_layer_touches_no_file(self):
        path = os.path.join(self.path, "new")
        IPCChannelLayer(path=path).close()
        self.assertFalse(os.path.exists(path))


class DefaultPathTests(IPCTests, SimpleTestCase):
    def settings_in(self, directory, name="site.settings"):
        """Return the default path for a settings module in a directory."""
        module = types.ModuleType(name)
        module.__file__ = os.path.join(self.path, directory, "settings.py")
        settings = mock.Mock(SETTINGS_MODULE=name)
        with (
            mock.patch("django.conf.settings", settings),
            mock.patch.object(place, "import_module", lambda found: module),
        ):
            return IPCChannelLayer().path

    def test_a_site_has_one_path_wherever_its_processes_are_started(self):
        path = self.settings_in("a")
        with (
            mock.patch.object(os, "getcwd", lambda: self.path),
            mock.patch.dict(os.environ, {"XDG_RUNTIME_DIR": self.path}),
        ):
            self.assertEqual(self.settings_in("a"), path)
        self.assertIn(str(os.geteuid()), path)
        self.assertIn("site.settings", path)

    def test_two_sites_have_two_paths(self):
        paths = {self.settings_in("a"), self.settings_in("b")}
        paths.add(self.settings_in("a", "other.settings"))
        self.assertEqual(len(paths), 3)

    def test_two_users_have_two_paths(self):
        path = self.settings_in("a")
        with mock.patch.object(os, "geteuid", lambda: 12345):
            self.assertNotEqual(self.settings_in("a"), path)

    def test_without_shared_memory_it_is_in_the_temporary_directory(self):
        with (
            mock.patch.object(place, "SHARED_MEMORY", "/nowhere"),
            mock.patch.object(place.tempfile, "gettempdir", lambda: self.path),
        ):
            path, other = self.settings_in("a"), self.settings_in("a", "other")
        self.assertEqual(os.path.dirname(path), self.path)
        self.assertNotEqual(path, other)
        # What is put into it, for a socket, is short enough on macOS, too.
        self.assertLess(len(os.path.basename(path)), 30)

    def test_a_test_that_overrides_settings_has_the_path_of_its_site(self):
        path = IPCChannelLayer().path
        with self.settings(DEBUG=True):
            self.assertEqual(IPCChannelLayer().path, path)

    def test_without_a_settings_module_a_path_is_asked_for(self):
        settings = mock.Mock(SETTINGS_MODULE=None)
        with (
            mock.patch("django.conf.settings", settings),
            mock.patch.dict(os.environ),
        ):
            os.environ.pop("DJANGO_SETTINGS_MODULE", None)
            with self.assertRaisesMessage(InvalidChannelLayerError, "Give it a path."):
                IPCChannelLayer()


class CareTests(IPCTests, SimpleTestCase):
    """What nobody needs any more goes, as others use the store."""

    def setUp(self):
        super().setUp()
        self.now = 1000.0
        self.store = self.make_store()
        self.store.clock = lambda: self.now
        self.store.renew()

    def pass_time(self, seconds, renewals=20):
        self.now += seconds
        for _ in range(renewals):
            self.store.renew()

    def names(self):
        return sorted(self.store.queues())

    def send(self, *names):
        self.store.append([(name, 100, [b"x"]) for name in names])

    def test_abandoned_single_reader_channels_are_forgotten(self):
        names = [f"body?{n}" for n in range(1000)]
        self.send(*names)
        self.pass_time(61)
        self.assertEqual(self.store.statistics()["expired_count"], 1000)
        self.pass_time(61)
        self.assertEqual(self.names(), [])
        statistics = self.store.statistics()
        self.assertEqual(statistics["messages_count"], 1000)
        self.assertEqual(statistics["expired_count"], 1000)

    def test_making_channels_forgets_more_than_it_makes(self):
        for n in range(care.SWEEP_LIMIT * 4):
            self.send(f"body?{n}")
        self.now += 61
        for n in range(care.SWEEP_LIMIT):
            self.send(f"new?{n}")
        self.now += 61
        for n in range(care.SWEEP_LIMIT * 2):
            self.send(f"newer?{n}")
        self.assertLess(len(self.names()), care.SWEEP_LIMIT * 3 + 1)

    def test_a_normal_channel_keeps_its_counters_for_an_hour(self):
        self.send("a")
        self.pass_time(MEMORY_SECONDS - 1)
        self.assertEqual(self.store.statistics("a")["expired_count"], 1)
        self.pass_time(1)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.store.statistics()["expired_count"], 1)
        self.assertEqual(self.store.statistics("a")["expired_count"], 0)

    def test_what_somebody_waits_for_or_has_claimed_is_remembered(self):
        self.store.take(["a"], 1, wait=True)
        self.store.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        self.pass_time(10 * UNCLAIMED_SECONDS)
        self.assertEqual(self.names(), ["a", "inbox!"])
        self.assertEqual(self.store.groups(), {"group": (1, 0)})

    def test_what_the_dead_leave_is_forgotten(self):
        other = self.make_store()
        other.clock = lambda: self.now
        other.renew()
        other.take(["a", "b?c"], 1, wait=True)
        other.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        self.store.register("group", "inbox!", 100, b"control")
        self.store.add("group", "normal", 100, 60)
        other._life.end()
        self.pass_time(MEMORY_SECONDS)
        self.assertEqual(self.names(), [])
        self.assertEqual(self.store._run(lambda step: list(step.scan(b"g"))), [])

    def test_the_dead_count_nowhere_also_if_nobody_missed_them(self):
        other = self.make_store()
        other.renew()
        other.take(["a"], 1, wait=True)
        other.claim([("group", "inbox!", 100, 1)], ["inbox!"])
        newcomer = self.make_store()
        self.assertEqual(newcomer.queues()["a"][1], 1)
        self.assertEqual(newcomer.groups(), {"group": (1, 0)})
        self.assertIn("processes: 2", newcomer.describe())
        other._life.end()
        self.assertEqual(newcomer.queues()["a"][1], 0)
        self.assertEqual(newcomer.groups(), {})
        self.assertIn("processes: 1", newcomer.describe())

    def test_an_inbox_that_nobody_claims_is_forgotten_after_a_day(self):
        self.store.register("group", "inbox!", 100, b"control")
        self.store.add("group", "single?x", 100, 60)
        self.pass_time(UNCLAIMED_SECONDS - 1)
        self.assertEqual(self.store.groups(), {"group": (1, 0)})
        self.assertEqual(self.names(), ["inbox!"])
        self.pass_time(1)
        self.assertEqual(self.names(), [])
        for prefix in (b"g", b"i", b"q"):
            self.assertEqual(self.store._run(lambda s: list(s.scan(prefix))), [])

    def test_entries_of_different_lives_expire_wherever_they_stand(self):
        brief = self.make_store(expiry=10)
        brief.clock = lambda: self.now
        self.send("a")
        brief.append([("a", 100, [b"brief"])])
        self.send("a")
        self.now += 10
        self.assertEqual(self.store.append([("a", 3, [b"3", b"4"])]), [1])
        taken = [entry.payload for _, entry in self.store.take(["a"], 100)]
        self.assertEqual(taken, [b"x", b"x", b"3"])
        statistics = self.store.statistics("a")
        self.assertEqual(statistics["expired_count"], 1)

    def test_the_rate_is_that_of_the_last_second(self):
        self.store.append([("a", 10, [b"x"] * 30)])
        for seconds, sent, refused in ((0, 10, 20), (1.5, 5, 10), (2, 0, 0)):
            self.now = 1000 + seconds
            for queue in ("a", None):
                statistics = self.store.statistics(queue)
                rates = (
                    statistics["messages_count_per_second"],
                    statistics["channel_full_count_per_second"],
                )
                self.assertEqual(rates, (sent, refused))

    def test_the_age_is_that_of_the_oldest_message(self):
        self.send("a")
        self.now += 5
        self.send("a")
        self.assertEqual(self.store.statistics("a")["messages_max_age"], 5)
        self.store.take(["a"], 1)
        self.assertEqual(self.store.statistics("a")["messages_max_age"], 0)
        self.assertEqual(self.store.statistics()["messages_max_age"], 0)
