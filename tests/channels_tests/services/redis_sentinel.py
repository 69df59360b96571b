"""A Redis master, its replica and three sentinels that watch them."""

from .redis_alone import QUESTION_SECONDS, Redis
from .waiting import wait_for

SENTINELS = 3
# Milliseconds until a sentinel takes a silent server for dead: one that a test has
# killed, and others, which are slow on a machine with much else to do.
DOWN_MILLISECONDS = 500
SLOW_MILLISECONDS = 60_000


class SentinelNode(Redis):
    """One sentinel."""

    def __init__(self, name, master, quorum):
        super().__init__()
        self._watched = f"{name} 127.0.0.1 {master.port} {quorum}"
        self._name = name

    def configuration(self):
        return {
            "port": self.port,
            "bind": "127.0.0.1",
            "unixsocket": self.socket,
            "dir": self.folder,
            "sentinel monitor": self._watched,
            "sentinel down-after-milliseconds": f"{self._name} {SLOW_MILLISECONDS}",
            "sentinel failover-timeout": f"{self._name} 5000",
        }

    def command(self):
        return [*super().command(), "--sentinel"]

    def terminate(self):
        self.kill()


class Sentinel:
    """Servers that a client finds through sentinels, from start() to stop()."""

    def __init__(self, name="channels", **options):
        # What the sentinels call the master.
        self.name = name
        options = {"repl_diskless_sync_delay": 0, **options}
        self.servers = [Redis(**options), Redis(**options)]
        self.sentinels = [
            SentinelNode(name, self.servers[0], SENTINELS // 2 + 1)
            for _ in range(SENTINELS)
        ]

    def start(self):
        """Start all and return when each sentinel knows all others."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self):
        master, replica = self.servers
        master.start()
        replica.start()
        with replica.client() as client:
            client.replicaof("127.0.0.1", master.port)
        wait_for(lambda: self._has_replica(master), "the replica is in step")
        for sentinel in self.sentinels:
            sentinel.start()
        wait_for(lambda: all(map(self._is_ready, self.sentinels)), "sentinels agree")

    def stop(self):
        """End all; stopping twice is stopping once."""
        for server in (*self.sentinels, *self.servers):
            server.stop()

    @property
    def running(self):
        """Do all run?"""
        return all(server.running for server in (*self.sentinels, *self.servers))

    def restart(self):
        """Start those that do not run."""
        for server in (*self.servers, *self.sentinels):
            if not server.running:
                server.start()
        self._settle()

    @property
    def addresses(self):
        """The (host, port) of each sentinel."""
        return [("127.0.0.1", sentinel.port) for sentinel in self.sentinels]

    @property
    def master(self):
        """The server that most sentinels take for the master."""
        ports = [self._master_port(sentinel) for sentinel in self.sentinels]
        port = max(set(ports), key=ports.count)
        return next(server for server in self.servers if server.port == port)

    @property
    def replica(self):
        """The server that is not the master."""
        master = self.master
        return next(server for server in self.servers if server is not master)

    def failover(self, kill=False):
        """
        Make the replica the master, by a command or by killing the master.

        Return the new master when all sentinels know it and it takes writes. A
        master that was killed stays down until restart().
        """
        old, new = self.master, self.replica
        if kill:
            self._set_patience(DOWN_MILLISECONDS)
            old.kill()
        else:
            with self.sentinels[0].client() as client:
                client.execute_command("SENTINEL", "FAILOVER", self.name)
        self._settle(new)
        if kill:
            self._set_patience(SLOW_MILLISECONDS)
        return new

    def _set_patience(self, milliseconds):
        """Say when sentinels take a silent server for dead."""
        option = ("down-after-milliseconds", milliseconds)
        for sentinel in self.sentinels:
            with sentinel.client() as client:
                client.execute_command("SENTINEL", "SET", self.name, *option)

    def _settle(self, master=None):
        def settled():
            ports = {self._master_port(sentinel) for sentinel in self.sentinels}
            if len(ports) > 1 or (master and ports != {master.port}):
                return False
            with self.master.client() as client:
                return client.info("replication")["role"] == "master"

        wait_for(settled, "all sentinels know one master")
        master, replica = self.master, self.replica
        if replica.running:
            # The sentinels would do this too, ten seconds later.
            with replica.client() as client:
                client.replicaof("127.0.0.1", master.port)
            wait_for(lambda: self._has_replica(master), "the replica is in step")

    def _master_port(self, sentinel):
        with sentinel.client(decode_responses=True) as client:
            command = ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)
            return int(client.execute_command(*command)[1])

    def _is_ready(self, sentinel):
        with sentinel.client(socket_timeout=QUESTION_SECONDS) as client:
            state = client.sentinel_master(self.name)
        others = state["num-other-sentinels"] == SENTINELS - 1
        return others and state["num-slaves"] == 1 and state["flags"] == "master"

    def _has_replica(self, server):
        with server.client() as client:
            state = client.info("replication")
        replica = state.get("slave0")
        return bool(replica) and replica["state"] == "online"
