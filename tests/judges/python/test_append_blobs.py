"""BlobClient on append blobs, and what each endpoint leaves of the other one's files."""

import hashlib

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob import ContentSettings
from helpers import content_of, refused, signed_url


@pytest.fixture
def log(container):
    client = container.get_blob_client("directory/log")
    client.create_append_blob()
    return client


def test_blocks_follow_each_other(log):
    properties = log.get_blob_properties()
    assert (properties.blob_type, properties.size, properties.append_blob_committed_block_count) == ("AppendBlob", 0, 0)
    assert not properties.is_append_blob_sealed
    first = log.append_block(b"hello ")
    second = log.append_block("world", validate_content=True)
    assert (first["blob_append_offset"], first["blob_committed_block_count"]) == ("0", 1)
    assert (second["blob_append_offset"], second["blob_committed_block_count"]) == ("6", 2)
    assert second["etag"] == log.get_blob_properties().etag != first["etag"]
    assert log.download_blob().readall() == b"hello world"
    assert log.get_blob_properties().append_blob_committed_block_count == 2


def test_upload_to_an_append_blob(container):
    data = bytes(range(256)) * 2000
    client = container.get_blob_client("uploaded")
    client.upload_blob(data, blob_type="AppendBlob", max_concurrency=1)
    client.upload_blob(b"more", blob_type="AppendBlob", length=4)
    assert client.download_blob().readall() == data + b"more"
    client.upload_blob(b"anew", blob_type="AppendBlob", overwrite=True)
    assert client.download_blob().readall() == b"anew"


def test_creation_describes_and_replaces(container, log):
    log.append_block(b"content")
    with refused("BlobAlreadyExists", 409, ResourceExistsError):
        log.create_append_blob(match_condition=MatchConditions.IfMissing)
    log.create_append_blob(content_settings=ContentSettings(content_type="text/csv"), metadata={"k": "v"})
    properties = log.get_blob_properties()
    assert (properties.size, properties.metadata, properties.content_settings.content_type) == (0, {"k": "v"}, "text/csv")
    assert [(found.name, found.blob_type) for found in container.list_blobs(name_starts_with="directory/")] == [
        ("directory/log", "AppendBlob")
    ]


def test_conditions_of_blocks(log):
    first = log.append_block(b"one", appendpos_condition=0, maxsize_condition=3)
    with refused("AppendPositionConditionNotMet", 412):
        log.append_block(b"two", appendpos_condition=0)
    with refused("MaxBlobSizeConditionNotMet", 412):
        log.append_block(b"two", maxsize_condition=5)
    log.append_block(b"two", etag=first["etag"], match_condition=MatchConditions.IfNotModified)
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        log.append_block(b"x", etag=first["etag"], match_condition=MatchConditions.IfNotModified)
    lease = log.acquire_lease(lease_duration=15)
    with refused("LeaseIdMissing", 412):
        log.append_block(b"x")
    log.append_block(b"three", lease=lease)
    lease.release()
    assert log.download_blob().readall() == b"onetwothree"


def test_a_seal_ends_the_appending(container, log):
    written = log.append_block(b"content")
    with refused("AppendPositionConditionNotMet", 412):
        log.seal_append_blob(appendpos_condition=1)
    for _ in range(2):
        sealed = log.seal_append_blob(appendpos_condition=7)
        assert (sealed["blob_sealed"], sealed["etag"]) == (True, written["etag"])
    with refused("BlobIsSealed", 409):
        log.append_block(b"more")
    log.set_blob_metadata({"k": "v"})
    properties = log.get_blob_properties()
    assert (properties.is_append_blob_sealed, properties.metadata) == (True, {"k": "v"})
    copy = container.get_blob_client("copy")
    copy.start_copy_from_url(log.url, seal_destination_blob=False)
    copied = copy.append_block(b"!")
    assert (copied["blob_append_offset"], copied["blob_committed_block_count"]) == ("7", 2)
    log.create_append_blob()
    log.append_block(b"anew")


def test_a_block_from_another_blob(account, container, log):
    data = bytes(range(100))
    url = signed_url(account, container.upload_blob("source", data))
    log.append_block(b"begin")
    part = log.append_block_from_url(url, source_offset=10, source_length=5)
    assert (part["blob_append_offset"], part["blob_committed_block_count"]) == ("5", 2)
    md5 = bytearray(hashlib.md5(data).digest())
    log.append_block_from_url(url, source_content_md5=md5, appendpos_condition=10)
    with refused("AppendPositionConditionNotMet", 412):
        log.append_block_from_url(url, appendpos_condition=10)
    assert log.download_blob().readall() == b"begin" + data[10:15] + data


def test_types_do_not_mix(container, log):
    block_blob = container.upload_blob("block", b"content")
    wrong = "InvalidBlobType"
    with refused(wrong, 409, ResourceExistsError):
        block_blob.append_block(b"x")
    with refused(wrong, 409, ResourceExistsError):
        block_blob.seal_append_blob()
    with refused(wrong, 409, ResourceExistsError):
        block_blob.create_append_blob()
    with refused(wrong, 409, ResourceExistsError):
        block_blob.resize_blob(512)
    with refused(wrong, 409, ResourceExistsError):
        log.stage_block("YQ==", b"x")
    with refused(wrong, 409, ResourceExistsError):
        log.upload_blob(b"x", overwrite=True)
    with refused("BlobNotFound", 404, ResourceNotFoundError):
        container.get_blob_client("nothing").append_block(b"x")
    assert block_blob.download_blob().readall() == b"content"


def test_the_data_lake_endpoint_does_not_write_to_files_of_the_blob_endpoint(file_system, container, log):
    log.append_block(b"content")
    container.upload_blob("block", b"content")
    for name in ["directory/log", "block"]:
        file = file_system.get_file_client(name)
        assert content_of(file) == b"content"
        with refused("InvalidAppendOperation", 409, ResourceExistsError):
            file.append_data(b"more", offset=7)
        with refused("InvalidFlushOperation", 409, ResourceExistsError):
            file.flush_data(7)
        file.upload_data(b"anew", overwrite=True)
        assert container.get_blob_client(name).download_blob().readall() == b"anew"
