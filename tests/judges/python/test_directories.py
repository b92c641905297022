"""DataLakeDirectoryClient, and moving things about."""

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.filedatalake import ContentSettings
from helpers import content_of, names, new_name, refused


def test_creation_keeps_what_is_there(file_system, directory):
    made = directory.get_directory_properties()
    assert made.name == "directory" and made.metadata["hdi_isfolder"] == "true"
    directory.create_file("file")
    directory.create_directory()
    assert names(directory.get_paths()) == ["directory/file"]
    with refused("PathAlreadyExists", 409, ResourceExistsError):
        directory.create_directory(match_condition=MatchConditions.IfMissing)
    with refused("PathConflict", 409, ResourceExistsError):
        file_system.create_directory("directory/file")
    with refused("PathConflict", 409, ResourceExistsError):
        file_system.create_directory("directory/file/below")


def test_creation_describes(file_system):
    directory = file_system.get_directory_client("a")
    directory.create_directory(
        metadata={"k": "v"}, content_settings=ContentSettings(content_language="fr"), permissions="0750", umask="0000"
    )
    properties = directory.get_directory_properties()
    assert properties.metadata == {"k": "v", "hdi_isfolder": "true"}
    assert properties.permissions == "rwxr-x---"
    directory.set_metadata({"other": "x"})
    assert directory.get_directory_properties().metadata == {"other": "x", "hdi_isfolder": "true"}
    directory.set_http_headers(content_settings=ContentSettings(content_language="it"))
    assert directory.exists() and not file_system.get_directory_client("b").exists()
    with refused("BlobNotFound", 404, ResourceNotFoundError):
        file_system.get_directory_client("b").get_directory_properties()


def test_below_a_directory(directory):
    sub = directory.create_sub_directory("sub", metadata={"m": "1"})
    assert sub.get_directory_properties().metadata["m"] == "1"
    directory.get_sub_directory_client("sub").create_file("file").upload_data(b"abc", overwrite=True)
    assert content_of(directory.get_file_client("sub/file")) == b"abc"
    assert names(directory.get_paths()) == ["directory/sub", "directory/sub/file"]
    assert names(directory.get_paths(recursive=False)) == ["directory/sub"]
    pages = list(directory.get_paths(max_results=1).by_page())
    assert [names(page) for page in pages] == [["directory/sub"], ["directory/sub/file"]]
    directory.delete_sub_directory("sub")
    assert names(directory.get_paths()) == []


def test_deletion_takes_everything_below(file_system, directory):
    directory.create_file("a/b/c/d")
    directory.delete_directory()
    assert names(file_system.get_paths()) == []
    with refused("PathNotFound", 404, ResourceNotFoundError):
        directory.delete_directory()


def test_rename_of_a_directory_moves_everything(file_system, directory):
    directory.create_file("a/file").upload_data(b"abc", overwrite=True)
    directory.set_metadata({"k": "v"})
    before = directory.get_directory_properties()
    file_before = directory.get_file_client("a/file").get_file_properties()
    moved = directory.rename_directory(f"{directory.file_system_name}/moved")
    assert names(file_system.get_paths()) == ["moved", "moved/a", "moved/a/file"]
    after = moved.get_directory_properties()
    assert (after.etag, after.metadata, after.creation_time) == (before.etag, before.metadata, before.creation_time)
    file_after = moved.get_file_client("a/file").get_file_properties()
    assert (file_after.etag, file_after.last_modified) == (file_before.etag, file_before.last_modified)
    assert not directory.exists()


def test_rename_of_a_file_keeps_what_it_is(file_system, file):
    file.set_metadata({"k": "v"})
    file.set_access_control(permissions="0604")
    before = file.get_file_properties()
    moved = file.rename_file(f"{file.file_system_name}/moved")
    after = moved.get_file_properties()
    for kept in ("etag", "metadata", "permissions", "owner", "group", "creation_time", "size"):
        assert after[kept] == before[kept], kept
    assert content_of(moved) == b"0123456789" and not file.exists()


def test_rename_replaces_a_file(file_system, file):
    other = file_system.create_file("other")
    with refused("PathAlreadyExists", 409, ResourceExistsError):
        file.rename_file(f"{file.file_system_name}/other", match_condition=MatchConditions.IfMissing)
    assert file.exists() and other.get_file_properties().size == 0
    file.rename_file(f"{file.file_system_name}/other")
    assert content_of(other) == b"0123456789"
    assert names(file_system.get_paths()) == ["directory", "other"]


def test_rename_into_another_file_system(service, file):
    with service.create_file_system(new_name()) as other:
        moved = file.rename_file(f"{other.file_system_name}/file")
        assert moved.file_system_name == other.file_system_name
        assert content_of(other.get_file_client("file")) == b"0123456789" and not file.exists()
        other.delete_file_system()


def test_rename_heeds_conditions_of_the_source(file):
    target = f"{file.file_system_name}/moved"
    etag = file.get_file_properties().etag
    with refused("SourceConditionNotMet", 412):
        file.rename_file(target, source_etag='"0x1"', source_match_condition=MatchConditions.IfNotModified)
    assert file.exists()
    file.rename_file(target, source_etag=etag, source_match_condition=MatchConditions.IfNotModified)
    assert not file.exists()


def test_renames_that_cannot_be(file_system, directory, file):
    here = file_system.file_system_name
    with refused("SourcePathNotFound", 404, ResourceNotFoundError):
        file_system.get_file_client("nothing").rename_file(f"{here}/moved")
    with refused("RenameDestinationParentPathNotFound", 404, ResourceNotFoundError):
        file.rename_file(f"{here}/no/such/parent")
    with refused("InvalidRenameSourcePath", 409):
        directory.rename_directory(f"{here}/directory/below")
    with pytest.raises(HttpResponseError) as caught:
        directory.rename_directory(f"{here}/directory/file")
    assert caught.value.status_code == 409
    file_system.create_file("full/file")
    with refused("DirectoryNotEmpty", 409):
        directory.rename_directory(f"{here}/full")
    assert names(file_system.get_paths()) == ["directory", "directory/file", "full", "full/file"]


def test_clients_by_other_ways(sdk, account, directory):
    client = sdk.DataLakeDirectoryClient.from_connection_string(
        account.connection_string, directory.file_system_name, "directory"
    )
    assert client.exists()
    client.close()


def test_conditions_on_directories(directory):
    etag = directory.get_directory_properties().etag
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        directory.delete_directory(etag='"0x1"', match_condition=MatchConditions.IfNotModified)
    directory.delete_directory(etag=etag, match_condition=MatchConditions.IfNotModified)
    assert not directory.exists()
