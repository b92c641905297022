"""What several tests look at."""

import contextlib
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobSasPermissions, generate_blob_sas


@contextlib.contextmanager
def refused(code, status, kind=HttpResponseError):
    """The service's code, its status and the SDK's exception for it."""
    with pytest.raises(kind) as caught:
        yield caught
    error = caught.value
    assert (str(getattr(error.error_code, "value", error.error_code)), error.status_code) == (code, status)


def new_name():
    return f"fs-{uuid.uuid4().hex}"


def content_of(file):
    return file.download_file().readall()


def signed_url(account, client):
    """Of a blob that may be read with it."""
    signature = generate_blob_sas(
        account.name,
        client.container_name,
        client.blob_name,
        account_key=account.key,
        permission=BlobSasPermissions(read=True),
        expiry=datetime.now(timezone.utc) + timedelta(hours=1),
    )
    return f"{client.url}?{signature}"


def names(paths):
    return [path.name for path in paths]
