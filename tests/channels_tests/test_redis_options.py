"""The options of the Redis layer, and what is said of servers' settings."""

from unittest import mock

from django.channels.backends.redis import RedisChannelLayer
from django.channels.backends.redis_store import checks
from django.channels.exceptions import InvalidChannelLayerError
from django.test import SimpleTestCase, tag

from . import services
from .redis_stores import InCluster, OneRedis


class HostTests(SimpleTestCase):
    def names(self, hosts):
        return [s.server.name for s in RedisChannelLayer(hosts)._store._shards]

    def test_one_server_on_this_machine_is_the_default(self):
        self.assertEqual(self.names(None), ["127.0.0.1:6379"])

    def test_every_form_of_a_server(self):
        for host, name in (
            ("redis://example.com:1/2", "example.com:1"),
            ("redis://example.com:1/", "example.com:1"),
            ("redis://me:secret@example.com", "example.com:6379"),
            ("rediss://example.com:1?ssl_cert_reqs=none", "example.com:1"),
            ("unix:///run/redis.sock?db=1", "/run/redis.sock"),
            (("example.com", 1), "example.com:1"),
            ({"host": "example.com", "port": 1, "ssl": True}, "example.com:1"),
            ({"address": "redis://example.com:1", "password": "x"}, "example.com:1"),
            ({"address": ("example.com", 1)}, "example.com:1"),
            ({"path": "/run/redis.sock"}, "/run/redis.sock"),
            (
                {"sentinels": [("a", 1), ("b", 2)], "master_name": "m", "db": 1},
                "m of sentinels",
            ),
        ):
            with self.subTest(host=host):
                self.assertEqual(self.names([host]), [name])

    def test_several_servers(self):
        hosts = ["redis://a:1", ("b", 2), {"sentinels": [("c", 3)], "master_name": "m"}]
        self.assertEqual(self.names(hosts), ["a:1", "b:2", "m of sentinels"])

    def test_a_server_is_named_once(self):
        for hosts in (
            ["redis://a:1", "redis://a:1"],
            ["redis://a:1/0", "redis://b:1", ("a", 1)],
            ["redis://a:1/0", "redis://a:1/1"],
        ):
            with self.subTest(hosts=hosts):
                with self.assertRaisesMessage(
                    InvalidChannelLayerError, "hosts has a:1 more than once."
                ):
                    RedisChannelLayer(hosts)

    def test_a_cluster_is_divided_into_shards(self):
        name = "cluster of a:1"
        self.assertEqual(self.names({"cluster": ["redis://a:1", ("b", 2)]}), [name] * 8)
        hosts = {"cluster": [("a", 1)], "shards": 2, "password": "x"}
        self.assertEqual(self.names(hosts), [name] * 2)

    def test_options_for_tls_and_time_reach_connections(self):
        host = {"host": "a", "ssl": True, "ssl_ca_certs": "x.pem", "socket_timeout": 1}
        (shard,) = RedisChannelLayer([host])._store._shards
        options = shard.server._pool.connection_kwargs
        self.assertEqual(options["ssl_ca_certs"], "x.pem")
        self.assertEqual(options["socket_timeout"], 1)

    def test_nothing_is_tried_again_or_decoded_whatever_is_given(self):
        options = "retry_on_timeout=yes&health_check_interval=9&protocol=3"
        for host in (
            f"redis://a:1?{options}",
            {"host": "a", "decode_responses": True, "retry_on_timeout": True},
        ):
            (shard,) = RedisChannelLayer([host])._store._shards
            options = shard.server._pool.connection_kwargs
            self.assertEqual(options["retry"]._retries, 0)
            self.assertIs(options["retry_on_timeout"], False)
            self.assertIs(options["decode_responses"], False)
            self.assertEqual(options["health_check_interval"], 0)
            self.assertEqual(options["protocol"], 2)

    def test_what_is_no_host_is_refused_with_what_is_allowed(self):
        for hosts in (
            "redis://localhost",
            [],
            7,
            ["localhost:6379"],
            ["http://localhost"],
            ["redis://localhost:6379/cache"],
            [{"address": "rediss://localhost/0x1"}],
            {"cluster": ["redis://localhost/first"]},
            [("localhost",)],
            [("localhost", 1, 2)],
            [7],
            [{}],
            [{"port": 1}],
            [{"address": "localhost"}],
            [{"host": "localhost", "prot": 1}],
            [{"sentinels": [("a", 1)]}],
            [{"sentinels": ["a"], "master_name": "m"}],
            [{"master_name": "m"}],
            {"cluster": []},
            {"cluster": "redis://localhost"},
            {"cluster": ["unix:///run/redis.sock"]},
        ):
            with self.subTest(hosts=hosts):
                with self.assertRaisesMessage(
                    InvalidChannelLayerError, "It may be a list of servers"
                ):
                    RedisChannelLayer(hosts)

    def test_what_urls_say_counts_or_is_refused(self):
        for url, reason in (
            ("redis://a/zero", "the database 'zero' must be a number, 0 or more"),
            ("redis://a/-1", "the database '-1' must be a number"),
            ("redis://a/0/1", "the database '0/1' must be a number"),
            ("redis://a?db=-1", "the database -1 must be a number"),
            ("redis://a?db=x", "Invalid value for 'db'"),
            ("redis://a:x", "the port 'x' must be a number from 1 to 65535"),
            ("redis://a:0", "the port '0' must be a number from 1 to 65535"),
            ("redis://a:65536", "the port '65536' must be a number from 1 to 65535"),
            ("redis://a?port=x", "the port 'x' must be a number from 1 to 65535"),
            ("redis://a?colour=red", "AbstractConnection.__init__() got an unexpected"),
            ("redis://a?socket_timeout=soon", "Invalid value for 'socket_timeout'"),
            ("rediss://a?ssl_cert_reqs=maybe", "Invalid SSL Certificate Requirements"),
            ("redis://a/1?db=2", "db is given more than once"),
            ("redis://a?db=1&db=2", "db is given more than once"),
            ("redis://a?db", "'db' behind the ? must be name=value"),
            ("redis://a#1", "it has a #, or a / or ? before an @"),
            ("unix://", "it has no path, as unix:///run/redis.sock does"),
            ("unix://a", "it has no path, as unix:///run/redis.sock does"),
        ):
            with self.subTest(url=url):
                msg = f"hosts={url!r} is not valid: {reason}"
                with self.assertRaisesMessage(InvalidChannelLayerError, msg):
                    RedisChannelLayer([url])

    def test_a_port_and_a_database_are_numbers_however_they_are_given(self):
        for host, reason in (
            (("a", "x"), "the port 'x' must be a number from 1 to 65535"),
            (("a", None), "the port None must be a number from 1 to 65535"),
            (("a", 65536), "the port 65536 must be a number from 1 to 65535"),
            ({"host": "a", "db": "zero"}, "the database 'zero' must be a number"),
            ({"host": "a", "db": True}, "the database True must be a number"),
            ({"path": "/a", "db": -1}, "the database -1 must be a number, 0 or more"),
            (
                {"sentinels": [("a", 1)], "master_name": "m", "db": 1.5},
                "the database 1.5 must be a number, 0 or more",
            ),
        ):
            with self.subTest(host=host):
                with self.assertRaisesMessage(InvalidChannelLayerError, reason):
                    RedisChannelLayer([host])

    def test_a_user_may_have_no_password(self):
        """Its entry in the server's list of users says nopass."""
        for url, user, password in (
            ("redis://me@a/1", "me", None),
            ("redis://:secret@a", None, "secret"),
            ("redis://me:p%2F%40%23%3Fw@a", "me", "p/@#?w"),
            ("redis://a?username=me&password=p@w", "me", "p@w"),
        ):
            with self.subTest(url=url):
                (shard,) = RedisChannelLayer([url])._store._shards
                options = shard.server._pool.connection_kwargs
                self.assertEqual(options.get("username"), user)
                self.assertEqual(options.get("password"), password)

    def test_a_cluster_has_no_databases(self):
        msg = "it has the database 2, and those of clusters have none but 0."
        for cluster in ({"cluster": ["redis://a/2"]}, {"cluster": [("a", 1)], "db": 2}):
            with self.subTest(cluster=cluster):
                with self.assertRaisesMessage(InvalidChannelLayerError, msg):
                    RedisChannelLayer(cluster)

    def test_a_cluster_is_alone_and_has_a_number_of_shards(self):
        with self.assertRaisesMessage(InvalidChannelLayerError, "the only host"):
            RedisChannelLayer([{"cluster": [("a", 1)]}, ("b", 2)])
        for shards in (0, 1025, "8", None):
            with self.subTest(shards=shards):
                with self.assertRaisesMessage(
                    InvalidChannelLayerError, f"shards={shards!r} is not valid"
                ):
                    RedisChannelLayer({"cluster": [("a", 1)], "shards": shards})

    def test_errors_show_no_password(self):
        for hosts in (
            ["http://me:secret@localhost"],
            [{"password": "secret", "port": 1}],
            [{"address": "http://me:secret@localhost"}],
            ["redis://localhost?password=secret&no_such_option=1"],
            ["redis://me:sec@secret@localhost:x"],
            ["redis://me:secret#1@localhost"],
            ["redis://me:secret/1@localhost/0"],
            ["redis://:secret?1@localhost/0"],
            ["redis://:secret?a=1@localhost/0"],
            ["redis://me:1#secret@localhost/0"],
            ["redis://localhost/0?db=1&password=secret"],
        ):
            with self.subTest(hosts=hosts):
                with self.assertRaises(InvalidChannelLayerError) as caught:
                    RedisChannelLayer(hosts)
                self.assertNotIn("secret", str(caught.exception))

    def test_a_prefix_is_printable_and_has_no_braces(self):
        for prefix in (b"x", 7, None, "a{b", "a}b", "a\n"):
            with self.subTest(prefix=prefix):
                with self.assertRaisesMessage(
                    InvalidChannelLayerError, "prefix must be a str"
                ):
                    RedisChannelLayer(prefix=prefix)

    def test_redis_py_is_asked_for(self):
        with mock.patch.dict("sys.modules", {"redis": None}):
            with self.assertRaisesMessage(
                InvalidChannelLayerError, "pip install 'Django[redis]'"
            ):
                RedisChannelLayer()


class CheckTests(OneRedis, SimpleTestCase):
    def check(self, hosts=None):
        layer = RedisChannelLayer(hosts or self.hosts(), self.prefix)
        self.addCleanup(layer.close)
        self.assertEqual(layer.check(), [])
        return {message.id: message for message in layer.check(reach=True)}

    def test_a_server_that_evicts_or_has_no_limit_is_reported(self):
        self.server = services.redis(own=True, maxmemory_policy="allkeys-lru")
        self.addCleanup(self.server.stop)
        found = self.check()
        self.assertEqual(set(found), {"channels.redis.I001", "channels.redis.W001"})
        self.assertIn("allkeys-lru", found["channels.redis.W001"].msg)
        with self.server.client() as client:
            client.config_set("maxmemory", "100mb")
            client.config_set("maxmemory-policy", "noeviction")
        self.assertEqual(self.check(), {})

    def test_an_old_server_that_cannot_save_is_reported(self):
        info = {"redis_version": "6.0.16", "rdb_last_bgsave_status": "err"}
        with mock.patch.object(checks, "read_info", return_value=info):
            found = self.check()
        self.assertEqual(set(found), {"channels.redis.E001", "channels.redis.W002"})

    def test_one_server_under_two_names_is_an_error(self):
        hosts = [("127.0.0.1", self.server.port), {"path": self.server.socket}]
        error = self.check(hosts)["channels.redis.E003"]
        self.assertIn(f":{self.server.port} and {self.server.socket} is one", error.msg)
        other = {"path": services.valkey().socket}
        self.assertNotIn("channels.redis.E003", self.check([hosts[0], other]))

    def test_a_description_tells_server_and_keys(self):
        layer = RedisChannelLayer(self.hosts(), self.prefix)
        self.addCleanup(layer.close)
        layer.send("normal", {})
        line = layer.describe()[-1]
        self.assertIn(self.server.socket, line)
        self.assertIn(self.prefix, line)


@tag("full")
class ClusterCheckTests(InCluster, SimpleTestCase):
    def test_a_cluster_that_is_not_told_is_an_error(self):
        layer = RedisChannelLayer([self.server.urls[0]], self.prefix)
        self.addCleanup(layer.close)
        found = {message.id for message in layer._store.check()}
        self.assertIn("channels.redis.E002", found)
