"""DataLakeServiceClient and FileSystemClient."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.filedatalake import AccessPolicy, FileSystemSasPermissions
from helpers import content_of, names, new_name, refused


def test_file_systems_come_and_go(service):
    name = new_name()
    client = service.create_file_system(name, metadata={"team": "lake"})
    assert client.exists()
    properties = client.get_file_system_properties()
    assert (properties.name, properties.metadata) == (name, {"team": "lake"})
    assert properties.lease.state == "available" and not properties.has_immutability_policy
    with refused("ContainerAlreadyExists", 409, ResourceExistsError):
        client.create_file_system()
    client.set_file_system_metadata({"other": "1"})
    changed = client.get_file_system_properties()
    assert changed.metadata == {"other": "1"} and changed.etag != properties.etag
    service.delete_file_system(name)
    assert not client.exists()
    with refused("ContainerNotFound", 404, ResourceNotFoundError):
        client.get_file_system_properties()
    with refused("ContainerNotFound", 404, ResourceNotFoundError):
        client.delete_file_system()
    with refused("FilesystemNotFound", 404, ResourceNotFoundError):
        client.create_file("file")
    with refused("FilesystemNotFound", 404, ResourceNotFoundError):
        list(client.get_paths())


def test_deletion_takes_the_paths_along(service):
    name = new_name()
    client = service.create_file_system(name)
    client.create_file("a/b")
    client.delete_file_system()
    client.create_file_system()
    assert names(client.get_paths()) == []
    client.delete_file_system()


@pytest.mark.parametrize("name", ["ab", "Upper", "two--hyphens", "-first", "under_score", "a" * 64])
def test_names_that_no_file_system_may_have(service, name):
    with pytest.raises(HttpResponseError) as caught:
        service.create_file_system(name)
    assert caught.value.status_code == 400


def test_listing_file_systems(service):
    prefix = new_name()[:20]
    made = [f"{prefix}-{number}" for number in range(5)]
    for name in made:
        service.create_file_system(name, metadata={"name": name})
    listed = list(service.list_file_systems(name_starts_with=prefix))
    assert names(listed) == made and listed[0].metadata is None
    assert listed[0].etag and listed[0].last_modified
    listed = service.list_file_systems(name_starts_with=prefix, include_metadata=True)
    assert [file_system.metadata for file_system in listed] == [{"name": name} for name in made]
    pages = service.list_file_systems(name_starts_with=prefix, results_per_page=2).by_page()
    assert [names(page) for page in pages] == [made[:2], made[2:4], made[4:]]
    for name in made:
        service.get_file_system_client(name).delete_file_system()
    assert names(service.list_file_systems(name_starts_with=prefix)) == []


def test_properties_of_the_service(service):
    properties = service.get_service_properties()
    assert set(properties) >= {"analytics_logging", "hour_metrics", "minute_metrics", "cors", "delete_retention_policy"}


def test_conditions_on_a_file_system(file_system):
    modified = file_system.get_file_system_properties().last_modified
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file_system.delete_file_system(if_unmodified_since=modified - timedelta(hours=1))
    with refused("ConditionNotMet", 412, ResourceModifiedError):
        file_system.set_file_system_metadata({}, if_modified_since=modified + timedelta(hours=1))
    assert file_system.exists()


def test_listing_paths(file_system):
    for path in ("b/2", "b/1", "a", "c/d/e"):
        file_system.create_file(path)
    assert names(file_system.get_paths()) == ["a", "b", "b/1", "b/2", "c", "c/d", "c/d/e"]
    assert names(file_system.get_paths(recursive=False)) == ["a", "b", "c"]
    assert names(file_system.get_paths("c")) == ["c/d", "c/d/e"]
    assert names(file_system.get_paths("c", recursive=False)) == ["c/d"]
    with refused("PathNotFound", 404, ResourceNotFoundError):
        list(file_system.get_paths("nothing"))
    pages = list(file_system.get_paths(max_results=3).by_page())
    assert [len(list(page)) for page in pages] == [3, 3, 1]


def test_a_listing_goes_on_from_its_continuation(file_system):
    for number in range(7):
        file_system.create_file(f"f{number}")
    first = file_system.get_paths(max_results=3).by_page()
    seen = names(next(iter(first)))
    rest = file_system.get_paths(max_results=3).by_page(continuation_token=first.continuation_token)
    assert seen + [name for page in rest for name in names(page)] == [f"f{number}" for number in range(7)]


def test_a_listing_begins_where_it_is_told(file_system):
    for name in ("a", "b", "c"):
        file_system.create_file(name)
    assert names(file_system.get_paths(start_from="b")) == ["b", "c"]


def test_what_a_listing_says(file_system, file):
    listed = {path.name: path for path in file_system.get_paths(upn=True)}
    directory, entry = listed["directory"], listed["directory/file"]
    assert directory.is_directory and not entry.is_directory
    properties = file.get_file_properties()
    assert entry.content_length == 10
    assert entry.last_modified.replace(tzinfo=timezone.utc) == properties.last_modified
    assert entry.etag.strip('"') == properties.etag.strip('"')
    assert (entry.owner, entry.group, entry.permissions) == ("$superuser", "$superuser", "rw-r-----")
    assert directory.permissions == "rwxr-x---"
    assert abs((entry.creation_time - properties.creation_time).total_seconds()) <= 1


def test_shortcuts_of_a_file_system(file_system):
    directory = file_system.create_directory("d", metadata={"k": "v"})
    file = file_system.create_file("d/f")
    file.upload_data(b"abc", overwrite=True)
    assert content_of(file_system.get_file_client("d/f")) == b"abc"
    assert file_system.get_directory_client("d").get_directory_properties().metadata["k"] == "v"
    file_system.delete_file("d/f")
    assert not file.exists()
    file_system.delete_directory("d")
    assert not directory.exists()


def test_shortcuts_of_the_service(service, file):
    name = file.file_system_name
    assert content_of(service.get_file_client(name, "directory/file")) == b"0123456789"
    assert names(service.get_directory_client(name, "directory").get_paths()) == ["directory/file"]
    properties = service.get_file_system_client(name).get_file_system_properties()
    assert service.get_file_system_client(properties).exists()


def test_clients_by_other_ways(sdk, account, file_system):
    name = file_system.file_system_name
    with sdk.DataLakeServiceClient.from_connection_string(account.connection_string) as service:
        assert name in names(service.list_file_systems())
    client = sdk.FileSystemClient.from_connection_string(account.connection_string, name)
    assert client.exists()
    client.close()


def test_access_policies_are_kept(file_system):
    assert file_system.get_file_system_access_policy() == {"public_access": None, "signed_identifiers": []}
    now = datetime.now(timezone.utc).replace(microsecond=0)
    policy = AccessPolicy(FileSystemSasPermissions(read=True, list=True), now + timedelta(hours=1), start=now)
    file_system.set_file_system_access_policy({"readers": policy})
    kept = file_system.get_file_system_access_policy()["signed_identifiers"]
    assert [identifier.id for identifier in kept] == ["readers"]
    assert kept[0].access_policy.permission == "rl"
    file_system.set_file_system_access_policy({})
    assert file_system.get_file_system_access_policy()["signed_identifiers"] == []
