"""
Run the generators of a role: each in a thread, or all as tasks of one loop.

In: program.py. Out: calls of the layer, in the form that the role was given.
"""

import asyncio
import random
import threading
import traceback

# An impatient async receive is cancelled after up to this many seconds.
PATIENCE_SECONDS = 0.01


def run_sync(role, layer):
    """Run the callers of a role, each in a thread; return when all have ended."""
    threads = [
        threading.Thread(target=_drive, args=(life, role, layer), daemon=True)
        for life in role.lives()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _drive(life, role, layer):
    def call(name, *args):
        if name == "wait":
            return role.stopping.wait(*args)
        return getattr(layer, name)(*args)

    resume, value = life.send, None
    try:
        while True:
            try:
                name, *args = resume(value)
            except StopIteration:
                return
            try:
                resume, value = life.send, call(name, *args)
            except Exception as error:
                resume, value = life.throw, error
    except Exception:
        role.note("failed", traceback.format_exc())


def run_async(role, layer, impatient=False):
    """Run the callers of a role as tasks; return when all have ended."""

    async def main():
        lives = [_adrive(life, role, layer, impatient) for life in role.lives()]
        await asyncio.gather(*lives)

    asyncio.run(main())


async def _adrive(life, role, layer, impatient):
    async def call(name, *args):
        if name == "wait":
            return await asyncio.sleep(*args)
        coroutine = getattr(layer, f"a{name}")(*args)
        if impatient and name == "receive_batch":
            return await cut_short(coroutine)
        return await coroutine

    resume, value = life.send, None
    try:
        while True:
            try:
                name, *args = resume(value)
            except StopIteration:
                return
            try:
                resume, value = life.send, await call(name, *args)
            except Exception as error:
                resume, value = life.throw, error
    except Exception:
        role.note("failed", traceback.format_exc())


async def cut_short(coroutine):
    """Return what a receive returns, or None if it was cancelled."""
    task = asyncio.ensure_future(coroutine)
    # Some at once, some before their first step, some when they wait.
    await asyncio.wait([task], timeout=random.choice((0, PATIENCE_SECONDS)))
    if random.random() < 0.5:
        task.cancel()
    try:
        return await task
    except asyncio.CancelledError:
        return None
