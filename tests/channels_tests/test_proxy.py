"""The proxy that tests put between a layer and its server."""

import socket
import threading

from django.test import SimpleTestCase

from .proxy import Proxy
from .utils import TIMEOUT


class ProxyTests(SimpleTestCase):
    def setUp(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listener.close)
        self.listener.settimeout(TIMEOUT)
        self.proxy = Proxy(self.listener.getsockname())
        self.addCleanup(self.proxy.stop)

    def connect(self):
        """Return both ends of a connection through the proxy."""
        client = socket.create_connection(("127.0.0.1", self.proxy.port), TIMEOUT)
        self.addCleanup(client.close)
        server, _ = self.listener.accept()
        server.settimeout(TIMEOUT)
        self.addCleanup(server.close)
        return client, server

    def receive(self, connection):
        """Return what comes, or nothing at the end of the connection."""
        try:
            return connection.recv(100)
        except ConnectionResetError:
            return b""

    def assertEnds(self, connection):
        self.assertEqual(self.receive(connection), b"")

    def ask(self, client, server, request=b"question", answer=b"answer"):
        """Return what the client gets, until the end or until it is as long."""
        client.sendall(request)
        self.assertEqual(server.recv(100), request)
        server.sendall(answer)
        got = b""
        while len(got) < len(answer) and (data := self.receive(client)):
            got += data
        return got

    def test_it_forwards_both_ways(self):
        ends = self.connect()
        self.assertEqual(self.ask(*ends), b"answer")
        self.assertEqual(self.ask(*ends), b"answer")

    def test_the_end_of_one_side_is_that_of_the_other(self):
        client, server = self.connect()
        client.close()
        self.assertEnds(server)

    def test_an_answer_is_lost_where_the_request_has_some_bytes(self):
        one, two = self.connect(), self.connect()
        self.proxy.lose_answer(b"this")
        self.assertEqual(self.ask(*one, request=b"that"), b"answer")
        self.assertEqual(self.ask(*two, request=b"this"), b"")
        self.assertTrue(self.proxy.wait_for_cuts(1, TIMEOUT))
        self.assertEqual(self.ask(*one, request=b"this"), b"answer")

    def test_an_answer_is_cut_after_some_bytes(self):
        self.proxy.lose_answer(after=3)
        self.assertEqual(self.ask(*self.connect()), b"ans")

    def test_what_is_held_comes_when_it_is_released(self):
        client, server = self.connect()
        self.proxy.hold()
        client.sendall(b"question")
        server.settimeout(0.05)
        with self.assertRaises(TimeoutError):  # Its text is the system's.
            server.recv(100)
        self.proxy.release()
        server.settimeout(TIMEOUT)
        self.assertEqual(server.recv(100), b"question")

    def test_connections_are_cut_and_refused(self):
        client, server = self.connect()
        self.proxy.refuse()
        self.assertEnds(client)
        self.assertEnds(server)
        address = ("127.0.0.1", self.proxy.port)
        with socket.create_connection(address, TIMEOUT) as other:
            self.assertEnds(other)
        self.proxy.accept()
        self.assertEqual(self.ask(*self.connect()), b"answer")

    def test_a_client_whose_server_is_away_is_refused(self):
        # Nobody else gets its port, and nobody listens there.
        with socket.socket() as away:
            away.bind(("127.0.0.1", 0))
            proxy = self.enterContext(Proxy(away.getsockname()))
            address = ("127.0.0.1", proxy.port)
            with socket.create_connection(address, TIMEOUT) as client:
                self.assertEnds(client)

    def test_it_leaves_no_thread(self):
        ends = self.connect()
        self.assertEqual(self.ask(*ends), b"answer")
        name = self.proxy.name
        self.proxy.stop()
        for thread in threading.enumerate():
            if thread.name == name:
                thread.join(TIMEOUT)
                self.assertFalse(thread.is_alive())
