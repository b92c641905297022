"""DataLakeFileClient: creation, content, properties, deletion."""

import io
from datetime import datetime, timedelta, timezone

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.filedatalake import ContentSettings
from helpers import content_of, refused

SETTINGS = ContentSettings(
    content_type="text/csv",
    content_encoding="identity",
    content_language="de-AT",
    content_disposition="attachment",
    cache_control="no-cache",
)


def test_a_new_file_is_empty_and_described(file_system):
    file = file_system.get_file_client("deep/er/file")
    before = datetime.now(timezone.utc) - timedelta(seconds=2)
    made = file.create_file(content_settings=SETTINGS, metadata={"team": "lake"})
    properties = file.get_file_properties()
    assert (properties.name, properties.size) == ("deep/er/file", 0)
    assert properties.etag == made["etag"] and properties.last_modified == made["last_modified"]
    assert before <= properties.creation_time <= properties.last_modified
    assert properties.metadata == {"team": "lake"}
    for setting in ("content_type", "content_encoding", "content_language", "content_disposition", "cache_control"):
        assert getattr(properties.content_settings, setting) == getattr(SETTINGS, setting)
    assert properties.content_settings.content_md5 is None
    assert properties.lease.state == "available" and properties.lease.status == "unlocked"
    assert content_of(file) == b""
    # Parents that were missing are directories now.
    parent = file_system.get_directory_client("deep/er").get_directory_properties()
    assert parent.metadata["hdi_isfolder"] == "true"


def test_creation_replaces_unless_a_condition_forbids_it(file_system, file):
    etag = file.get_file_properties().etag
    with refused("PathAlreadyExists", 409, ResourceExistsError):
        file.create_file(match_condition=MatchConditions.IfMissing)
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.create_file(etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    assert content_of(file) == b"0123456789"
    replaced = file.create_file(etag=etag, match_condition=MatchConditions.IfNotModified)
    assert replaced["etag"] != etag
    assert file.get_file_properties().size == 0
    with refused("PathConflict", 409, ResourceExistsError):
        file_system.get_file_client("directory").create_file()
    with refused("PathConflict", 409, ResourceExistsError):
        file_system.get_file_client("directory/file/below").create_file()
    fresh = file_system.get_file_client("fresh")
    fresh.create_file(match_condition=MatchConditions.IfMissing)
    assert fresh.exists()


def test_times_are_conditions(file):
    now = file.get_file_properties().last_modified
    earlier, later = now - timedelta(hours=1), now + timedelta(hours=1)
    assert file.get_file_properties(if_modified_since=earlier).size == 10
    assert file.get_file_properties(if_unmodified_since=later).size == 10
    with pytest.raises(ResourceModifiedError) as caught:
        file.get_file_properties(if_unmodified_since=earlier)
    assert caught.value.status_code == 412
    with pytest.raises(HttpResponseError) as caught:
        file.get_file_properties(if_modified_since=later)
    assert caught.value.status_code == 304
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.delete_file(if_unmodified_since=earlier)
    file.delete_file(if_unmodified_since=later)


def test_ranges_arrive_in_any_order_and_are_seen_after_the_flush(file_system):
    file = file_system.create_file("file")
    file.append_data(b"world", offset=6)
    file.append_data(b"hello ", offset=0)
    assert file.get_file_properties().size == 0
    with refused("InvalidFlushPosition", 400):
        file.flush_data(12)
    with refused("InvalidFlushPosition", 400):
        file.flush_data(4711)
    flushed = file.flush_data(11)
    properties = file.get_file_properties()
    assert (properties.size, properties.etag) == (11, flushed["etag"])
    assert content_of(file) == b"hello world"


def test_a_gap_cannot_be_flushed(file_system):
    file = file_system.create_file("file")
    file.append_data(b"abc", offset=0)
    file.append_data(b"ghi", offset=6)
    with refused("InvalidFlushPosition", 400):
        file.flush_data(9)
    file.append_data(b"def", offset=3)
    file.flush_data(9)
    assert content_of(file) == b"abcdefghi"


def test_what_lies_behind_the_flush_is_kept_on_demand_only(file_system):
    file = file_system.create_file("file")
    file.append_data(b"abcdef", offset=0)
    file.append_data(b"ghi", offset=6)
    file.flush_data(6, retain_uncommitted_data=True)
    assert content_of(file) == b"abcdef"
    file.flush_data(9, close=True)
    assert content_of(file) == b"abcdefghi"
    file.append_data(b"jkl", offset=9)
    file.append_data(b"mno", offset=12)
    file.flush_data(12)
    with refused("InvalidFlushPosition", 400):
        file.flush_data(15)
    assert content_of(file) == b"abcdefghijkl"


def test_append_and_flush_in_one_request(file_system):
    file = file_system.create_file("file")
    file.append_data(b"abc", offset=0, flush=True)
    assert content_of(file) == b"abc"
    file.append_data(io.BytesIO(b"def"), offset=3, length=3, flush=True, validate_content=True)
    assert content_of(file) == b"abcdef"


def test_flush_sets_content_settings_and_heeds_conditions(file):
    file.append_data(b"abc", offset=10)
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.flush_data(13, etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    file.flush_data(13, content_settings=SETTINGS)
    assert file.get_file_properties().content_settings.content_type == "text/csv"


def test_appending_to_what_is_no_file(file_system, directory):
    with refused("PathNotFound", 404, ResourceNotFoundError):
        file_system.get_file_client("nothing").append_data(b"abc", offset=0)
    with refused("PathNotFound", 404, ResourceNotFoundError):
        file_system.get_file_client("nothing").flush_data(0)
    with pytest.raises(HttpResponseError) as caught:
        file_system.get_file_client("directory").append_data(b"abc", offset=0)
    assert caught.value.status_code == 409


def test_upload_of_everything_that_holds_bytes(file_system):
    file = file_system.get_file_client("file")
    for data, expected in (
        (b"bytes \x00\xff", b"bytes \x00\xff"),
        ("text \u00e4\u2713", "text \u00e4\u2713".encode()),
        (iter([b"in ", b"parts"]), b"in parts"),
        (io.BytesIO(b"a stream"), b"a stream"),
    ):
        file.upload_data(data, length=len(expected), overwrite=True)
        assert content_of(file) == expected


def test_upload_describes_and_replaces(file_system, file):
    with pytest.raises(HttpResponseError):
        file.upload_data(b"other", overwrite=False)
    assert content_of(file) == b"0123456789"
    file.upload_data(
        b"other",
        overwrite=True,
        content_settings=SETTINGS,
        metadata={"a": "b"},
        permissions="0777",
        umask="0022",
    )
    properties = file.get_file_properties()
    assert (properties.size, properties.metadata, properties.permissions) == (5, {"a": "b"}, "rwxr-xr-x")
    assert properties.content_settings.content_type == "text/csv"
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.upload_data(b"x", overwrite=True, etag='"0x1"', match_condition=MatchConditions.IfNotModified)


def test_upload_in_parallel_chunks_and_download_alike(sdk, account, file_system):
    # Larger than what either side sends or asks for at once, and no multiple of it.
    data = bytes(range(256)) * 3000 + b"end"
    file = file_system.get_file_client("large")
    file.upload_data(data, overwrite=True, chunk_size=64 * 1024, max_concurrency=4)
    assert file.get_file_properties().size == len(data)
    reader = sdk.DataLakeFileClient(
        account.url,
        file_system.file_system_name,
        "large",
        credential=account.key,
        max_single_get_size=100_000,
        max_chunk_get_size=50_000,
    )
    with reader:
        assert reader.download_file(max_concurrency=3).readall() == data
        assert b"".join(reader.download_file().chunks()) == data
        into = io.BytesIO()
        assert reader.download_file(validate_content=True).readinto(into) == len(data)
        assert into.getvalue() == data


def test_download_of_ranges(file_system, file):
    downloader = file.download_file(offset=2, length=5)
    assert downloader.size == 5 and downloader.readall() == b"23456"
    assert file.download_file(offset=7).readall() == b"789"
    assert file.download_file(offset=7, length=100).readall() == b"789"
    assert file.download_file(offset=2, length=5, validate_content=True).readall() == b"23456"
    with refused("InvalidRange", 416):
        file.download_file(offset=10)
    properties = file.download_file().properties
    assert (properties.size, properties.name) == (10, "directory/file")
    with refused("BlobNotFound", 404, ResourceNotFoundError):
        file_system.get_file_client("nothing").download_file()


def test_download_heeds_conditions(file):
    etag = file.get_file_properties().etag
    assert file.download_file(etag=etag, match_condition=MatchConditions.IfNotModified).readall() == b"0123456789"
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.download_file(etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    with pytest.raises(HttpResponseError) as caught:
        file.download_file(etag=etag, match_condition=MatchConditions.IfModified)
    assert caught.value.status_code == 304


def test_deletion(file_system, file):
    assert file.exists()
    file.delete_file()
    assert not file.exists()
    with refused("PathNotFound", 404, ResourceNotFoundError):
        file.delete_file()
    with refused("BlobNotFound", 404, ResourceNotFoundError):
        file.get_file_properties()
    assert file_system.get_directory_client("directory").exists()


def test_metadata_is_replaced_as_a_whole(file):
    before = file.get_file_properties()
    file.set_metadata({"one": "1", "two": "zwei"})
    file.set_metadata({"three": "3"})
    properties = file.get_file_properties()
    assert properties.metadata == {"three": "3"} and properties.etag != before.etag
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file.set_metadata({}, etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    assert content_of(file) == b"0123456789"


def test_http_headers_are_replaced_as_a_whole(file):
    file.set_http_headers(content_settings=SETTINGS)
    assert file.get_file_properties().content_settings.cache_control == "no-cache"
    file.set_http_headers(content_settings=ContentSettings(content_language="en"))
    settings = file.get_file_properties().content_settings
    assert (settings.content_language, settings.cache_control, settings.content_encoding) == ("en", None, None)


def test_encryption_context_is_kept(file_system):
    file = file_system.get_file_client("file")
    file.create_file(encryption_context="opaque")
    assert file.get_file_properties().encryption_context == "opaque"
    assert [path.encryption_context for path in file_system.get_paths()] == ["opaque"]


def test_clients_by_other_ways(sdk, account, file):
    client = sdk.DataLakeFileClient.from_connection_string(
        account.connection_string, file.file_system_name, file.path_name
    )
    assert content_of(client) == b"0123456789"
    client.close()
    with pytest.raises(HttpResponseError) as caught:
        wrong = sdk.DataLakeFileClient(account.url, file.file_system_name, "file", credential="d3Jvbmc=", retry_total=0)
        with wrong:
            wrong.get_file_properties()
    assert caught.value.status_code == 403


@pytest.mark.parametrize("name", ["a b", "%41", "a%2Fb", "+&=?#;,", "\u00e4\u2713\U0001f600", "~'()!*@$"])
def test_names_of_all_kinds(file_system, name):
    file = file_system.create_file(f"directory/{name}")
    file.append_data(b"x", offset=0, flush=True)
    assert [path.name for path in file_system.get_paths(recursive=True)] == ["directory", f"directory/{name}"]
    assert file.get_file_properties().size == 1 and content_of(file) == b"x"
    # The SDK decodes the name of a source once more than it has encoded it.
    if "%" not in name:
        file = file.rename_file(f"{file.file_system_name}/directory/{name} moved")
        assert content_of(file) == b"x"
    file.delete_file()
    assert [path.name for path in file_system.get_paths()] == ["directory"]


def test_checksums_on_the_way(file_system):
    """CRC64 in a header for bytes that are at hand, in the body for those that are streamed, and in the body on the way back."""
    data = bytes(range(256)) * 20_000
    file = file_system.create_file("file")
    file.append_data(data, offset=0, validate_content="crc64")
    file.append_data(io.BytesIO(data), offset=len(data), length=len(data), validate_content="crc64", flush=True)
    assert file.download_file(validate_content="crc64").readall() == data + data
    assert file.download_file(offset=5, length=10, validate_content="crc64").readall() == data[5:15]
    file.upload_data(io.BytesIO(data), overwrite=True, validate_content="crc64", chunk_size=1_000_000)
    assert file.download_file(validate_content="crc64").readall() == data
    file.upload_data(io.BytesIO(b"x"), overwrite=True, validate_content="crc64")
    assert file.download_file(validate_content="crc64").readall() == b"x"
