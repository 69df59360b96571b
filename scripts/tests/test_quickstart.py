import socket
import unittest

from lib.errors import ToolError
from lib.quickstart import check_port, display, read_address


class AddressTests(unittest.TestCase):
    def test_the_defaults_are_loopback_and_8000(self):
        self.assertEqual(read_address({}), ("127.0.0.1", 8000))
        self.assertEqual(read_address({"PORT": "", "HOST": ""}), ("127.0.0.1", 8000))

    def test_port_and_host_are_honored(self):
        environ = {"PORT": "8123", "HOST": "0.0.0.0"}
        self.assertEqual(read_address(environ), ("0.0.0.0", 8123))

    def test_a_port_that_is_none_is_refused_with_its_value(self):
        for port in ("x", "-1", "0", "65536", "80 ", "８"):
            with self.subTest(port=port):
                message = f"^PORT is '{port}'; it must be a number from 1 to 65535"
                with self.assertRaisesRegex(ToolError, message):
                    read_address({"PORT": port})

    def test_an_ipv6_address_is_bracketed(self):
        self.assertEqual(display("::1", 80), "[::1]:80")
        self.assertEqual(display("localhost", 80), "localhost:80")

    def test_a_taken_port_is_one_sentence_with_a_way_out(self):
        with socket.socket() as server:
            # Nobody else gets the port, whether it listens or not.
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            check_port("127.0.0.1", port)
            server.listen()
            message = rf"127\.0\.0\.1:{port} cannot be .*PORT=8001 "
            with self.assertRaisesRegex(ToolError, message):
                check_port("127.0.0.1", port)
