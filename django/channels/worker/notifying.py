"""
Tells systemd that the workers are ready, for which units of Type=notify wait.

In: the command runworker. Out: a datagram to the socket that systemd names.
"""

import logging
import os
import socket

logger = logging.getLogger("django.channels.worker")


def notify_ready():
    """Send READY=1 to the socket in NOTIFY_SOCKET, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        # How the name of an abstract socket is written.
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
            notifier.sendto(b"READY=1", address)
    except (AttributeError, OSError) as error:
        # There are no such sockets on Windows.
        logger.warning("Cannot tell NOTIFY_SOCKET %r: %s", address, error)
