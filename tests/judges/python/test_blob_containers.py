"""BlobServiceClient and ContainerClient, on an account with a hierarchical namespace."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage import blob
from azure.storage.blob import AccessPolicy, ContainerSasPermissions
from helpers import names, new_name, refused


def test_what_the_account_is(blob_service, container):
    for client in (blob_service, container, container.get_blob_client("any")):
        information = client.get_account_information()
        assert (information["account_kind"], information["is_hns_enabled"]) == ("StorageV2", True)
    assert "cors" in blob_service.get_service_properties()


def test_containers_come_and_go(blob_service):
    name = new_name()
    container = blob_service.create_container(name, metadata={"a": "b"})
    assert container.exists() and container.get_container_properties().metadata == {"a": "b"}
    with refused("ContainerAlreadyExists", 409, ResourceExistsError):
        container.create_container()
    container.set_container_metadata({"c": "d"})
    assert container.get_container_properties().metadata == {"c": "d"}
    assert name in names(blob_service.list_containers(name_starts_with=name))
    lease = container.acquire_lease(lease_duration=15)
    with refused("LeaseIdMissing", 412):
        container.delete_container()
    container.delete_container(lease=lease)
    assert not container.exists()
    with refused("ContainerNotFound", 404, ResourceNotFoundError):
        blob_service.delete_container(name)


def test_listing(container):
    for name in ("b/2", "b/1", "a", "c/d/e"):
        container.upload_blob(name, b"0123456789", metadata={"name": "x"})
    # Directories are blobs, too, unless a delimiter makes them prefixes.
    assert names(container.list_blobs()) == ["a", "b", "b/1", "b/2", "c", "c/d", "c/d/e"]
    assert list(container.list_blob_names()) == names(container.list_blobs())
    # The SDK puts the prefixes of a page before its blobs.
    assert names(container.walk_blobs()) == ["b/", "c/", "a"]
    assert names(container.walk_blobs(name_starts_with="b/")) == ["b/1", "b/2"]
    assert names(container.list_blobs(name_starts_with="b/")) == ["b/1", "b/2"]
    assert names(container.list_blobs(name_starts_with="c/d/e")) == ["c/d/e"]
    assert names(container.list_blobs(name_starts_with="nothing")) == []
    pages = [names(page) for page in container.list_blobs(results_per_page=3).by_page()]
    assert pages == [["a", "b", "b/1"], ["b/2", "c", "c/d"], ["c/d/e"]]
    by_name = {entry.name: entry for entry in container.list_blobs(include="metadata")}
    assert by_name["a"].metadata == {"name": "x"} and by_name["a"].size == 10
    assert by_name["b"].metadata["hdi_isfolder"] == "true"
    properties = container.get_blob_client("a").get_blob_properties()
    assert by_name["a"].etag.strip('"') == properties.etag.strip('"')
    assert (by_name["a"].last_modified, by_name["a"].content_settings.content_md5) == (
        properties.last_modified,
        properties.content_settings.content_md5,
    )
    with pytest.raises(HttpResponseError) as caught:
        list(container.walk_blobs(delimiter="-"))
    assert caught.value.status_code == 400


def test_shortcuts_of_a_container(container, blob_service):
    client = container.upload_blob("a/b", b"abc")
    assert client.blob_name == "a/b"
    assert container.download_blob("a/b").readall() == b"abc"
    assert blob_service.get_blob_client(container.container_name, "a/b").exists()
    container.delete_blob("a/b")
    assert not container.get_blob_client("a/b").exists()


def test_clients_by_other_ways(sdk, account, container):
    name = container.container_name
    container.upload_blob("a", b"abc")
    service = sdk.BlobServiceClient.from_connection_string(account.connection_string)
    assert service.get_container_client(name).exists()
    service.close()
    by_string = sdk.ContainerClient.from_connection_string(account.connection_string, name)
    assert by_string.exists()
    by_string.close()
    url = f"{account.url}/{name}"
    by_url = sdk.ContainerClient.from_container_url(url, credential=account.key)
    assert by_url.exists()
    by_url.close()
    by_url = sdk.BlobClient.from_blob_url(f"{url}/a", credential=account.key)
    assert by_url.download_blob().readall() == b"abc"
    by_url.close()
    by_string = sdk.BlobClient.from_connection_string(account.connection_string, name, "a")
    assert by_string.exists()
    by_string.close()


def test_access_policies_are_kept(container):
    now = datetime.now(timezone.utc).replace(microsecond=0)
    policy = AccessPolicy(ContainerSasPermissions(read=True), now + timedelta(hours=1), now)
    container.set_container_access_policy({"readers": policy})
    kept = container.get_container_access_policy()["signed_identifiers"]
    assert [(identifier.id, identifier.access_policy.permission) for identifier in kept] == [("readers", "r")]


def test_signatures(sdk, account, container):
    container.upload_blob("a", b"abc")
    name, expiry = container.container_name, datetime.now(timezone.utc) + timedelta(hours=1)
    types = blob.ResourceTypes(service=True, container=True, object=True)
    for sas in (
        blob.generate_account_sas(account.name, account.key, types, "rl", expiry),
        blob.generate_container_sas(account.name, name, account.key, permission="rl", expiry=expiry),
        blob.generate_blob_sas(account.name, name, "a", account_key=account.key, permission="r", expiry=expiry),
    ):
        client = sdk.BlobClient(account.url, name, "a", credential=sas, retry_total=0)
        assert client.download_blob().readall() == b"abc"
        with refused("AuthorizationPermissionMismatch", 403):
            client.delete_blob()
        client.close()
