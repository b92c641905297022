"""Asynchronous clients, driven like synchronous ones, so that one test judges both halves of an SDK.

Whatever such a client returns is awaited on one event loop; what it hands out (further clients, readers, pages) is wrapped in
turn. Attributes pass through.
"""

import inspect


class Blocking:
    def __init__(self, wrapped, loop):
        object.__setattr__(self, "_wrapped", wrapped)
        object.__setattr__(self, "_loop", loop)

    def __getattr__(self, name):
        return blocking(getattr(self._wrapped, name), self._loop)

    def __setattr__(self, name, value):
        setattr(self._wrapped, name, bare(value))

    def __getitem__(self, key):
        return blocking(self._wrapped[key], self._loop)

    def __call__(self, *args, **kwargs):
        args = [bare(argument) for argument in args]
        kwargs = {name: bare(argument) for name, argument in kwargs.items()}
        return blocking(self._wrapped(*args, **kwargs), self._loop)

    def __iter__(self):
        iterator = self._wrapped.__aiter__()
        while True:
            try:
                item = self._loop.run_until_complete(iterator.__anext__())
            except StopAsyncIteration:
                return
            yield blocking(item, self._loop)

    def __enter__(self):
        return blocking(self._wrapped.__aenter__(), self._loop)

    def __exit__(self, *exception):
        self._loop.run_until_complete(self._wrapped.__aexit__(*exception))


def bare(thing):
    return thing._wrapped if isinstance(thing, Blocking) else thing


def blocking(thing, loop):
    if inspect.isawaitable(thing):
        thing = loop.run_until_complete(thing)
    if needs_a_loop(thing):
        return Blocking(thing, loop)
    return thing


def needs_a_loop(thing):
    if inspect.ismethod(thing) or inspect.isfunction(thing):
        return True
    # What the SDKs call an asynchronous pager, and the pages that it consists of.
    return hasattr(thing, "__aiter__") or ".aio" in (type(thing).__module__ or "")
