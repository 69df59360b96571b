"""A process of a benchmark of channel layers; see commands.py for how it is told."""

import json
import logging
import sys
import traceback

from commands import Commands, describe
from lmdb_writes import Writes
from loops import Loops
from makers import make
from threads import Threads

FORMS = {"sync": Threads, "async": Loops, "channels": Loops, "lmdb": Writes}


def main():
    """Make the layer and do what the harness asks for."""
    logging.basicConfig()
    spec = json.loads(sys.argv[1])
    commands = Commands()
    try:
        layer = None
        if spec["layer"]:
            layer = make(spec["layer"], spec["address"], spec["options"])
        work = FORMS[spec["form"]](layer, commands, spec)
        commands.answer(result="ready")
        work.run()
    except Exception as error:
        traceback.print_exc()
        commands.answer(error=describe(error))


if __name__ == "__main__":
    main()
