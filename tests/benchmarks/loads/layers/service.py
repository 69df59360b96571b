"""A server of the tests', for a benchmark; it ends when its input does."""

import json
import sys
import traceback

from channels_tests import services
from commands import describe

# Everything that a server is delivered with, and not what makes tests fast.
POSTGRES = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
POSTGRES |= {"autovacuum_naptime": "1min", "shared_buffers": "128MB"}


def redis():
    """Start a Redis; return it, its addresses and its version."""
    server = services.redis(own=True)
    with server.client() as client:
        information = client.info("server")
    version = information.get("valkey_version") or information["redis_version"]
    name = information.get("server_name", "redis")
    addresses = {"address": server.url, "socket_address": server.socket_url}
    return server, addresses, f"{name} {version}"


def postgres():
    """Start a PostgreSQL; return it, its settings and its version."""
    server = services.postgres(own=True, **POSTGRES)
    addresses = {"address": server.create_database("bench")}
    return server, addresses, server.execute("SELECT version()")[0][0].split(" on ")[0]


def main():
    """Start the server of that name, tell about it and wait for the end."""
    try:
        start = {"redis": redis, "postgres": postgres}[sys.argv[1]]
        server, addresses, version = start()
    except BaseException as error:
        traceback.print_exc()
        print(json.dumps({"error": describe(error)}), flush=True)
        return
    try:
        about = {**addresses, "version": version, "pid": server.pid}
        print(json.dumps({"result": about}), flush=True)
        sys.stdin.read()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
