"""A Redis Cluster of three masters, without replicas."""

from .redis_alone import Redis
from .waiting import wait_for

MASTERS = 3
SLOTS = 16384


class Node(Redis):
    """One master of a cluster."""

    def configuration(self):
        return {
            **super().configuration(),
            "cluster-enabled": "yes",
            "cluster-config-file": "nodes.conf",
            # Of nodes that a test kills, whoever talks to them finds out at once.
            "cluster-node-timeout": "15000",
        }

    def command_to(self, *words):
        """Return the answer to a command."""
        with self.client(decode_responses=True) as client:
            return client.execute_command(*words)


class Cluster:
    """Three masters that share the slots, from start() to stop()."""

    def __init__(self, **options):
        self.nodes = [Node(**options) for _ in range(MASTERS)]

    def start(self):
        """Start all and return when the cluster takes every key."""
        try:
            for node in self.nodes:
                node.start()
            self._join()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        """End all; stopping twice is stopping once."""
        for node in self.nodes:
            node.stop()

    @property
    def running(self):
        """Do all run?"""
        return all(node.running for node in self.nodes)

    def restart(self):
        """Start those that do not run, and wait until all is well."""
        for node in self.nodes:
            if not node.running:
                node.start()
        self._wait()

    @property
    def addresses(self):
        """The (host, port) of each node."""
        return [("127.0.0.1", node.port) for node in self.nodes]

    @property
    def urls(self):
        """The addresses as URLs."""
        return [node.url for node in self.nodes]

    def move_slot(self, slot, source, target):
        """Make another node the owner of a slot; its keys are gone."""
        keys = source.command_to("CLUSTER", "GETKEYSINSLOT", slot, SLOTS)
        if keys:
            source.command_to("DEL", *keys)
        name = target.command_to("CLUSTER", "MYID")
        for node in (target, source, *self.nodes):
            node.command_to("CLUSTER", "SETSLOT", slot, "NODE", name)

    def owner(self, slot):
        """Return the node that has a slot."""
        for node in self.nodes:
            for first, last, master, *_ in node.command_to("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(n for n in self.nodes if n.port == master[1])
        raise LookupError(slot)

    def _join(self):
        bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
        for number, node in enumerate(self.nodes):
            node.command_to("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            slots = range(bounds[number], bounds[number + 1])
            node.command_to("CLUSTER", "ADDSLOTS", *slots)
        first = self.nodes[0]
        for node in self.nodes[1:]:
            first.command_to("CLUSTER", "MEET", "127.0.0.1", node.port)
        self._wait()

    def _wait(self):
        wait_for(lambda: all(map(self._is_ready, self.nodes)), "the cluster is well")

    def _is_ready(self, node):
        state = node.command_to("CLUSTER", "INFO")
        if not isinstance(state, dict):
            state = dict(line.split(":") for line in state.split())
        known = state["cluster_known_nodes"] == str(MASTERS)
        return known and state["cluster_state"] == "ok"
