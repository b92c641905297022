"""BlobClient: the part of it that clients use on an account with a hierarchical namespace."""

import base64
import io
import time
import uuid

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import BlobBlock, ContentSettings
from helpers import content_of, names, refused, signed_url

DATA = b"0123456789"


@pytest.fixture
def blob_client(container):
    return container.upload_blob("directory/file", DATA)


def test_both_endpoints_have_the_same_data(file_system, blob_client, container):
    file = file_system.get_file_client("directory/file")
    assert content_of(file) == DATA
    file.upload_data(DATA + b"more", overwrite=True)
    assert blob_client.download_blob().readall() == DATA + b"more"
    assert names(file_system.get_paths()) == names(container.list_blobs()) == ["directory", "directory/file"]
    assert blob_client.get_blob_properties().etag == file.get_file_properties().etag


def test_upload_describes_and_replaces(blob_client):
    with refused("BlobAlreadyExists", 409, ResourceExistsError):
        blob_client.upload_blob(b"other")
    settings = ContentSettings(content_type="text/csv", cache_control="no-cache")
    blob_client.upload_blob(b"other", overwrite=True, metadata={"k": "v"}, content_settings=settings)
    properties = blob_client.get_blob_properties()
    assert (properties.size, properties.metadata, properties.blob_type) == (5, {"k": "v"}, "BlockBlob")
    assert (properties.content_settings.content_type, properties.content_settings.cache_control) == ("text/csv", "no-cache")
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        blob_client.upload_blob(b"x", overwrite=True, etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    blob_client.upload_blob(b"checked", overwrite=True, validate_content=True)
    assert blob_client.download_blob(validate_content=True).readall() == b"checked"


def test_upload_in_blocks(sdk, account, container):
    data = bytes(range(256)) * 2000 + b"end"
    client = sdk.BlobClient(
        account.url,
        container.container_name,
        "large",
        credential=account.key,
        max_block_size=50_000,
        max_single_put_size=50_000,
        max_single_get_size=40_000,
        max_chunk_get_size=30_000,
    )
    client.upload_blob(io.BytesIO(data), max_concurrency=4, metadata={"k": "v"})
    assert client.download_blob(max_concurrency=3).readall() == data
    assert client.get_blob_properties().metadata == {"k": "v"}
    client.close()


def block(number):
    return BlobBlock(base64.b64encode(f"{number:06}".encode()).decode())


def test_blocks_become_a_blob_when_they_are_listed(container):
    client = container.get_blob_client("blocks")
    first, second, third = block(1), block(2), block(3)
    client.stage_block(second.id, b"world")
    client.stage_block(first.id, b"hello ", validate_content=True)
    assert not client.exists()
    committed, waiting = client.get_block_list("all")
    assert committed == [] and {(found.id, found.size) for found in waiting} == {(first.id, 6), (second.id, 5)}
    client.commit_block_list([first, second], metadata={"k": "v"})
    assert client.download_blob().readall() == b"hello world"
    committed, waiting = client.get_block_list("all")
    assert [(found.id, found.size) for found in committed] == [(first.id, 6), (second.id, 5)] and waiting == []
    with refused("InvalidBlockList", 400):
        client.commit_block_list([third])
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        client.commit_block_list([], etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    # A later list may name what an earlier one has committed.
    client.stage_block(third.id, b"!")
    client.commit_block_list([first, second, third])
    assert client.download_blob().readall() == b"hello world!"


def test_blocks_of_a_file_of_the_other_endpoint_are_not_told(file_system, container):
    file_system.create_file("file").upload_data(DATA, overwrite=True)
    assert container.get_blob_client("file").get_block_list("committed") == ([], [])


def test_download_of_ranges(blob_client):
    assert blob_client.download_blob(offset=2, length=3).readall() == b"234"
    assert blob_client.download_blob(offset=7).readall() == b"789"
    with refused("InvalidRange", 416):
        blob_client.download_blob(offset=10)


def test_conditions(blob_client):
    etag = blob_client.get_blob_properties().etag
    with pytest.raises(HttpResponseError) as caught:
        blob_client.get_blob_properties(etag=etag, match_condition=MatchConditions.IfModified)
    assert caught.value.status_code == 304
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        blob_client.delete_blob(etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    blob_client.delete_blob(etag=etag, match_condition=MatchConditions.IfNotModified)
    assert not blob_client.exists()
    with refused("BlobNotFound", 404, ResourceNotFoundError):
        blob_client.delete_blob()


def test_metadata_and_headers(blob_client):
    blob_client.set_blob_metadata({"a": "1"})
    blob_client.set_blob_metadata({"b": "2"})
    assert blob_client.get_blob_properties().metadata == {"b": "2"}
    blob_client.set_http_headers(ContentSettings(content_type="text/plain"))
    blob_client.set_http_headers(ContentSettings(content_language="de"))
    settings = blob_client.get_blob_properties().content_settings
    assert settings.content_language == "de" and settings.content_type != "text/plain"


def test_a_directory_goes_only_when_it_is_empty(container, blob_client):
    directory = container.get_blob_client("directory")
    assert directory.get_blob_properties().metadata["hdi_isfolder"] == "true"
    with refused("DirectoryIsNotEmpty", 409):
        directory.delete_blob()
    blob_client.delete_blob()
    directory.delete_blob()
    assert not directory.exists()


def test_copy(container, blob_client):
    blob_client.set_blob_metadata({"k": "v"})
    copy = container.get_blob_client("copy")
    started = copy.start_copy_from_url(blob_client.url)
    assert started["copy_status"] in ("success", "pending") and started["copy_id"]
    give_up = time.monotonic() + 60
    while copy.get_blob_properties().copy.status == "pending":
        assert time.monotonic() < give_up, "the copy never ends"
    properties = copy.get_blob_properties()
    assert (properties.copy.status, properties.copy.id) == ("success", started["copy_id"])
    assert (properties.metadata, copy.download_blob().readall()) == ({"k": "v"}, DATA)
    copy.start_copy_from_url(blob_client.url, metadata={"other": "1"}, requires_sync=True)
    assert copy.get_blob_properties().metadata == {"other": "1"}
    with refused("NoPendingCopyOperation", 409):
        copy.abort_copy(started["copy_id"])
    with pytest.raises(HttpResponseError) as caught:
        copy.start_copy_from_url(f"{blob_client.url}-that-is-not")
    assert caught.value.status_code == 404


def test_content_from_another_blob(account, container, blob_client):
    url = signed_url(account, blob_client)
    copy = container.get_blob_client("copy")
    copy.upload_blob_from_url(url, metadata={"k": "v"})
    assert (copy.download_blob().readall(), copy.get_blob_properties().metadata) == (DATA, {"k": "v"})
    with refused("BlobAlreadyExists", 409, ResourceExistsError):
        copy.upload_blob_from_url(url)
    first, second = block(1), block(2)
    copy.stage_block_from_url(first.id, url, source_offset=2, source_length=3)
    copy.stage_block_from_url(second.id, url)
    copy.commit_block_list([second, first])
    assert copy.download_blob().readall() == DATA + DATA[2:5]


def test_leases(sdk, blob_client):
    lease = blob_client.acquire_lease(lease_duration=15)
    with refused("LeaseIdMissing", 412):
        blob_client.delete_blob()
    with refused("LeaseIdMissing", 412):
        blob_client.upload_blob(b"x", overwrite=True)
    lease.renew()
    changed = str(uuid.uuid4())
    lease.change(changed)
    blob_client.upload_blob(b"x", overwrite=True, lease=lease)
    lease.release()
    other = sdk.BlobLeaseClient(blob_client)
    other.acquire()
    assert sdk.BlobLeaseClient(blob_client).break_lease() == 0
    assert blob_client.get_blob_properties().lease.state == "broken"


def test_checksums_on_the_way(container):
    data = bytes(range(256)) * 20_000
    client = container.get_blob_client("file")
    client.upload_blob(data, validate_content="crc64")
    assert client.download_blob(validate_content="crc64").readall() == data
    client.upload_blob(io.BytesIO(data), overwrite=True, validate_content="crc64")
    assert client.download_blob(validate_content="crc64").readall() == data
    client.stage_block(block(1).id, data, validate_content="crc64")
    client.stage_block(block(2).id, io.BytesIO(data), length=len(data), validate_content="crc64")
    client.commit_block_list([block(1), block(2)])
    assert client.download_blob(validate_content="crc64").readall() == data + data
