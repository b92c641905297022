"""Batches of deletions and of tiers, which the SDK makes of what it is given."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.storage import blob
from azure.storage.blob import ContainerSasPermissions, PartialBatchErrorException
from helpers import names, refused


@pytest.fixture
def filled(container):
    for name in ("a", "b", "c/d e", "c/\u00e4?"):
        container.upload_blob(name, b"0123456789")
    return container


def statuses(answers):
    return [answer.status_code for answer in answers]


def left(container):
    return [name for name in names(container.list_blobs()) if name != "c"]


def test_deletions(filled):
    assert statuses(filled.delete_blobs("a", "c/\u00e4?", filled.get_blob_client("b").get_blob_properties())) == [202] * 3
    assert left(filled) == ["c/d e"]
    lease = filled.get_blob_client("c/d e").acquire_lease()
    assert statuses(filled.delete_blobs("c/d e", "gone", raise_on_any_failure=False)) == [412, 404]
    with pytest.raises(PartialBatchErrorException) as caught:
        filled.delete_blobs("c/d e", "gone")
    assert statuses(caught.value.parts) == [412, 404]
    assert [part.headers["x-ms-error-code"] for part in caught.value.parts] == ["LeaseIdMissing", "BlobNotFound"]
    assert statuses(filled.delete_blobs({"name": "c/d e", "lease_id": lease.id})) == [202]
    assert left(filled) == []


def test_deletions_with_a_signature(sdk, account, filled):
    def client(permission):
        end = datetime.now(timezone.utc) + timedelta(hours=1)
        name = filled.container_name
        signature = blob.generate_container_sas(account.name, name, account.key, permission=permission, expiry=end)
        return sdk.ContainerClient(account.url, name, credential=signature)

    reader = client(ContainerSasPermissions(read=True, list=True))
    assert statuses(reader.delete_blobs("a", "b", raise_on_any_failure=False)) == [403, 403]
    assert len(left(filled)) == 4
    assert statuses(client(ContainerSasPermissions(delete=True)).delete_blobs("a", "b")) == [202, 202]
    assert len(left(filled)) == 2


def test_tiers(filled):
    assert statuses(filled.set_standard_blob_tier_blobs("Cool", "a", "c/d e")) == [200, 200]
    client = filled.get_blob_client("b")
    client.set_standard_blob_tier("Cold")
    tiers = {entry.name: entry.blob_tier for entry in filled.list_blobs()}
    assert (tiers["a"], tiers["b"], tiers["c/d e"]) == ("Cool", "Cold", "Cool")


def test_what_hierarchical_namespaces_lack(blob_service, file_system, filled):
    client, unsupported = filled.get_blob_client("a"), "FeatureNotYetSupportedForHierarchicalNamespaceAccounts"
    for attempt in (
        lambda: client.create_snapshot(),
        lambda: client.upload_page(b"0" * 512, offset=0, length=512),
        lambda: client.clear_page(offset=0, length=512),
        lambda: client.get_page_ranges(),
        lambda: filled.get_blob_client("pages").create_page_blob(512),
    ):
        with refused(unsupported, 409):
            attempt()
    file = file_system.get_file_client("a")
    for attempt in (
        lambda: client.get_blob_tags(),
        lambda: client.set_blob_tags({"a": "b"}),
        lambda: file.get_tags(),
        lambda: file.set_tags({"a": "b"}),
        lambda: list(filled.find_blobs_by_tags("a='b'")),
        lambda: list(blob_service.find_blobs_by_tags("a='b'")),
    ):
        with refused("InvalidQueryParameterValue", 400):
            attempt()
    assert client.download_blob().readall() == b"0123456789"
