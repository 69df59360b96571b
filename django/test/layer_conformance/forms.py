"""How a test calls a layer: in the sync form, in the async one, among others."""

import asyncio
import contextlib
import copy
import functools
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

_name_re = re.compile(r"[a-zA-Z0-9\-_.]+([?!][a-zA-Z0-9\-_.]*)?")
# Names that are longer stay as they are, so that they are refused as they were.
_MAX_LENGTH = 80
# How many of its arguments, the first ones, are names.
_NAMES = {
    "send": 1,
    "new_channel": 1,
    "close_channel": 1,
    "group_add": 2,
    "group_discard": 2,
    "send_group": 1,
    "statistics": 1,
}
# The methods whose first argument is a list of names, or of pairs with one.
_LISTS = {"send_batch", "receive", "receive_batch", "put_back"}


def both_forms(extension=None, *, alone=False, **options):
    """
    Run a test with the sync and with the async form of a fresh layer.

    The test is written once, with sync calls. It is skipped if the layer does
    not have the ``extension``. In a class with several ``callers``, as many run
    it at a time on one layer, each with names of its own, half of them in each
    form; ``alone`` is for tests of what all callers share.
    """

    def decorate(test):
        @functools.wraps(test)
        def run(self):
            if self.callers > 1:
                layer = self.make_layer(**options)
                self.require(layer, extension)
                return _run_callers(self, test, layer)
            for form in (SyncForm, AsyncForm):
                with self.subTest(form=form.__name__):
                    layer = self.make_layer(**options)
                    self.require(layer, extension)
                    with form(layer) as calls:
                        test(self, calls)

        run.for_callers = not alone
        return run

    return decorate


class SyncForm:
    """The methods of a layer as they are."""

    def __init__(self, layer):
        self.layer = layer

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def __getattr__(self, name):
        return getattr(self.layer, name)


class AsyncForm(SyncForm):
    """The async methods of a layer, called by the names of the sync ones."""

    def __enter__(self):
        self._loop = asyncio.new_event_loop()
        return self

    def __exit__(self, *exception):
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def __getattr__(self, name):
        function = getattr(self.layer, f"a{name}", None)
        if function is None:
            return getattr(self.layer, name)

        def call(*args, **kwargs):
            return self._loop.run_until_complete(function(*args, **kwargs))

        return call


class Caller:
    """
    The calls of one among several callers, each with names of its own.

    What the test calls ``a`` is ``caller1.a`` for the layer. Results and errors
    are given back in the names of the test.
    """

    def __init__(self, form, number):
        self.layer = form.layer
        self._form = form
        self._prefix = f"caller{number}."

    def __getattr__(self, name):
        value = getattr(self._form, name)
        if not callable(value) or isinstance(value, type):
            return value

        def call(*args, **kwargs):
            try:
                return self._cut(value(*self._put_args(name, args), **kwargs))
            except Exception as error:
                raise type(error)(self._strip(str(error))) from error

        return call

    def _put_args(self, name, args):
        if name in _LISTS and args:
            return self._put_all(name, args[0]), *args[1:]
        count = _NAMES.get(name, 0)
        return *map(self._put, args[:count]), *args[count:]

    def _put_all(self, name, given):
        # What is refused stays as it is.
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            return given
        if name == "send_batch" and not isinstance(given, list):
            return given
        return [
            (
                (self._put(item[0]), *item[1:])
                if isinstance(item, tuple) and item
                else self._put(item)
            )
            for item in given
        ]

    def _put(self, name):
        is_name = isinstance(name, str) and _name_re.fullmatch(name)
        return self._prefix + name if is_name and len(name) < _MAX_LENGTH else name

    def _cut(self, result):
        if isinstance(result, str):
            return self._strip(result)
        if isinstance(result, tuple):
            return (self._cut(result[0]), *result[1:])
        if isinstance(result, list):
            return [self._cut(item) for item in result]
        if isinstance(result, dict) and "messages_count" not in result:
            # Queues or groups, of all callers.
            return {
                self._strip(name): value
                for name, value in result.items()
                if name.startswith(self._prefix)
            }
        return result

    def _strip(self, text):
        return text.replace(self._prefix, "")


def _run_callers(case, test, layer):
    """Run a test by several callers at a time; raise what the first one raised."""

    def run(number):
        form = AsyncForm if number % 2 else SyncForm
        caller = copy.copy(case)
        # That of unittest is for one thread.
        caller.subTest = lambda **kwargs: contextlib.nullcontext()
        with form(layer) as calls:
            test(caller, Caller(calls, number))

    with ThreadPoolExecutor(case.callers) as pool:
        for future in [pool.submit(run, n) for n in range(case.callers)]:
            future.result()
