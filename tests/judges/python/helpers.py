"""What several tests look at."""

import contextlib
import uuid

import pytest
from azure.core.exceptions import HttpResponseError


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


def names(paths):
    return [path.name for path in paths]
