"""Soft deletion, and the other properties of the service."""

import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import CorsRule
from azure.storage.filedatalake import RetentionPolicy
from helpers import content_of, names


@pytest.fixture
def retention(service):
    service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=True, days=3))
    yield
    service.set_service_properties(delete_retention_policy=RetentionPolicy(enabled=False))


def test_what_is_deleted_is_kept_and_comes_back(service, file_system, file, retention):
    assert service.get_service_properties()["delete_retention_policy"].days == 3
    file.set_metadata({"k": "v"})
    file.delete_file()
    assert not file.exists() and names(file_system.get_paths()) == ["directory"]
    (deleted,) = list(file_system.list_deleted_paths())
    assert deleted.name == "directory/file" and deleted.deleted_time and deleted.deletion_id
    assert 2 <= deleted.remaining_retention_days <= 3
    back = file_system._undelete_path(deleted.name, deleted.deletion_id)
    assert content_of(back) == b"0123456789" and back.get_file_properties().metadata == {"k": "v"}
    assert list(file_system.list_deleted_paths()) == []


def test_directories_come_back_whole(file_system, file, retention):
    file_system.delete_directory("directory")
    (deleted,) = list(file_system.list_deleted_paths())
    assert deleted.name == "directory"
    file_system._undelete_path(deleted.name, deleted.deletion_id)
    assert names(file_system.get_paths()) == ["directory", "directory/file"]
    with pytest.raises(HttpResponseError) as caught:
        file_system._undelete_path(deleted.name, deleted.deletion_id)
    assert caught.value.status_code == 404


def test_without_retention_it_is_gone(file_system, file):
    file.delete_file()
    assert list(file_system.list_deleted_paths()) == []


def test_properties_are_kept_each_by_itself(blob_service):
    blob_service.set_service_properties(cors=[CorsRule(["https://one.example"], ["GET"], max_age_in_seconds=5)])
    (rule,) = blob_service.get_service_properties()["cors"]
    assert (rule.allowed_origins, rule.allowed_methods, rule.max_age_in_seconds) == ("https://one.example", "GET", 5)
    blob_service.set_service_properties(cors=[])
    assert blob_service.get_service_properties()["cors"] == []
