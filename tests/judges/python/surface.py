"""Which public operations the SDKs have, and which of them a run has called.

Only calls that a test makes itself count, not those that an SDK makes on the way. Methods count for each client that has them:
`set_metadata` of a directory is not that of a file.
"""

import contextvars
import functools
import inspect

from azure.storage import blob, filedatalake
from azure.storage.blob import aio as blob_aio
from azure.storage.filedatalake import aio as filedatalake_aio

DATA_LAKE = [
    "DataLakeServiceClient",
    "FileSystemClient",
    "DataLakeDirectoryClient",
    "DataLakeFileClient",
    "DataLakeLeaseClient",
]
BLOB = ["BlobServiceClient", "ContainerClient", "BlobClient", "BlobLeaseClient"]
SIGNERS = {
    filedatalake: [
        "generate_account_sas",
        "generate_directory_sas",
        "generate_file_sas",
        "generate_file_system_sas",
    ],
    blob: ["generate_account_sas", "generate_blob_sas", "generate_container_sas"],
}

inside = contextvars.ContextVar("inside", default=False)
called = set()


def classes(kind):
    modules = {"sync": (filedatalake, blob), "async": (filedatalake_aio, blob_aio)}[kind]
    return [getattr(module, name) for module, names in zip(modules, (DATA_LAKE, BLOB)) for name in names]


def operations(client):
    """Names of the public methods of a client, inherited ones included."""

    def is_method(member):
        return inspect.isfunction(member) or inspect.ismethod(member)

    return {name for name, _ in inspect.getmembers(client, is_method) if not name.startswith("_")}


def everything():
    found = set()
    for kind in ("sync", "async"):
        for client in classes(kind):
            found |= {(*described(client), operation) for operation in operations(client)}
    for module, names in SIGNERS.items():
        # The list above is complete.
        assert names == sorted(name for name in module.__all__ if name.startswith("generate_"))
        found |= {("sync", module.__name__.rpartition(".")[2], name) for name in names}
    return found


def described(client):
    return ("async" if ".aio" in client.__module__ else "sync", client.__name__)


def watch():
    """From here on, calls are noted."""
    for kind in ("sync", "async"):
        for client in classes(kind):
            for name in operations(client):
                watch_method(client, name)
    for module, names in SIGNERS.items():
        for name in names:
            key = ("sync", module.__name__.rpartition(".")[2], name)
            setattr(module, name, noting(getattr(module, name), lambda *_, key=key: key))


def watch_method(client, name):
    method = inspect.getattr_static(client, name)
    if isinstance(method, classmethod):
        setattr(client, name, classmethod(noting(method.__func__, lambda cls: (*described(cls), name))))
    else:
        setattr(client, name, noting(method, lambda self: (*described(type(self)), name)))


def noting(function, key):
    if hasattr(function, "watched"):
        return function

    @functools.wraps(function)
    def call(*args, **kwargs):
        if inside.get():
            return function(*args, **kwargs)
        called.add(key(*args[:1]))
        token = inside.set(True)
        try:
            result = function(*args, **kwargs)
        finally:
            inside.reset(token)
        return from_inside(result) if inspect.iscoroutine(result) else result

    call.watched = True
    return call


async def from_inside(coroutine):
    token = inside.set(True)
    try:
        return await coroutine
    finally:
        inside.reset(token)
