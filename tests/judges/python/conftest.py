"""What every test gets: a client of an account of its own process, and a file system that nobody else uses.

The account comes through the environment: `LIVEDATA_JUDGE_ENDPOINT` (in path style, without the account), `_ACCOUNT`, `_KEY`.
"""

import asyncio
import os

import pytest
import surface
from azure.storage import blob, filedatalake
from azure.storage.blob import aio as blob_aio
from azure.storage.filedatalake import aio as filedatalake_aio
from blocking import Blocking
from helpers import new_name

surface.watch()


class Account:
    def __init__(self):
        self.host = os.environ["LIVEDATA_JUDGE_ENDPOINT"].rstrip("/")
        self.name = os.environ["LIVEDATA_JUDGE_ACCOUNT"]
        self.key = os.environ["LIVEDATA_JUDGE_KEY"]

    @property
    def url(self):
        return f"{self.host}/{self.name}"

    @property
    def connection_string(self):
        return (
            f"DefaultEndpointsProtocol=http;AccountName={self.name};AccountKey={self.key};"
            f"BlobEndpoint={self.url};DfsEndpoint={self.url}"
        )


class Sdk:
    """The classes of both packages, by name: the synchronous ones, or the asynchronous ones as if they were."""

    def __init__(self, kind):
        self.kind = kind
        self.loop = asyncio.new_event_loop() if kind == "async" else None

    def __getattr__(self, name):
        modules = (filedatalake_aio, blob_aio) if self.kind == "async" else (filedatalake, blob)
        client = next(getattr(module, name) for module in modules if hasattr(module, name))
        return Blocking(client, self.loop) if self.kind == "async" else client

    def close(self):
        if self.loop:
            self.loop.close()


@pytest.fixture(scope="session", params=["sync", "async"])
def sdk(request):
    sdk = Sdk(request.param)
    yield sdk
    sdk.close()


@pytest.fixture(scope="session")
def account():
    return Account()


@pytest.fixture(scope="session")
def service(sdk, account):
    # A failure is looked at, not tried again.
    client = sdk.DataLakeServiceClient(account.url, credential=account.key, retry_total=0)
    yield client
    client.close()


@pytest.fixture(scope="session")
def blob_service(sdk, account):
    client = sdk.BlobServiceClient(account.url, credential=account.key, retry_total=0)
    yield client
    client.close()


@pytest.fixture
def file_system(service):
    client = service.create_file_system(new_name())
    yield client
    client.delete_file_system()


@pytest.fixture
def container(blob_service, file_system):
    """The same file system through the Blob endpoint."""
    return blob_service.get_container_client(file_system.file_system_name)


@pytest.fixture
def directory(file_system):
    return file_system.create_directory("directory")


@pytest.fixture
def file(file_system):
    """With a content of ten bytes."""
    client = file_system.create_file("directory/file")
    client.upload_data(b"0123456789", overwrite=True)
    return client


def pytest_collection_modifyitems(items):
    # What was called is counted when everything else has run.
    items.sort(key=lambda item: item.fspath.basename == "test_surface.py")
