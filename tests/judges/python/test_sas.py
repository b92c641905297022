"""Shared access signatures: who may do what with which, and that nothing else passes."""

from datetime import datetime, timedelta, timezone

import pytest
from azure.core.credentials import AzureSasCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.storage import filedatalake
from azure.storage.filedatalake import (
    AccessPolicy,
    AccountSasPermissions,
    DirectorySasPermissions,
    FileSasPermissions,
    FileSystemSasPermissions,
    ResourceTypes,
)
from helpers import content_of, names, refused


def soon(**delta):
    return datetime.now(timezone.utc) + timedelta(**(delta or {"hours": 1}))


def account_sas(account, types, permission, **more):
    expiry = more.pop("expiry", soon())
    return filedatalake.generate_account_sas(account.name, account.key, types, permission, expiry, **more)


def of_everything(account, **more):
    types = ResourceTypes(service=True, file_system=True, object=True)
    return account_sas(account, types, AccountSasPermissions(True, True, True, True, True), **more)


@pytest.fixture
def client(sdk, account):
    """A file client, file system client or directory client that has nothing but a signature."""
    opened = []

    def open(kind, *args, sas):
        client = getattr(sdk, kind)(account.url, *args, credential=sas, retry_total=0)
        opened.append(client)
        return client

    yield open
    for one in opened:
        one.close()


def test_an_account_signature_for_everything(client, account, file):
    service = client("DataLakeServiceClient", sas=of_everything(account))
    assert file.file_system_name in names(service.list_file_systems())
    file_system = service.get_file_system_client(file.file_system_name)
    assert names(file_system.get_paths()) == ["directory", "directory/file"]
    new = file_system.create_file("new")
    new.upload_data(b"abc", overwrite=True)
    assert content_of(new) == b"abc"
    # The source of a rename is named with its own signature.
    moved = new.rename_file(f"{file.file_system_name}/moved")
    assert content_of(moved) == b"abc"
    moved.delete_file()


def test_an_account_signature_is_held_to_its_limits(client, account, file):
    name = file.file_system_name
    objects = account_sas(account, ResourceTypes(object=True), AccountSasPermissions(read=True))
    assert content_of(client("DataLakeFileClient", name, file.path_name, sas=objects)) == b"0123456789"
    with refused("AuthorizationPermissionMismatch", 403):
        client("DataLakeFileClient", name, file.path_name, sas=objects).delete_file()
    with refused("AuthorizationResourceTypeMismatch", 403):
        list(client("FileSystemClient", name, sas=objects).get_paths())
    assert file.exists()


@pytest.mark.parametrize(
    "wrong", [{"expiry": soon(hours=-1)}, {"start": soon(hours=1), "expiry": soon(hours=2)}], ids=["over", "not yet"]
)
def test_a_signature_has_its_time(client, account, file, wrong):
    late = client("DataLakeFileClient", file.file_system_name, file.path_name, sas=of_everything(account, **wrong))
    with refused("AuthenticationFailed", 403, ClientAuthenticationError):
        late.download_file()


def test_a_signature_of_others(client, account, file):
    sas = of_everything(account)
    signature = sas.index("sig=") + len("sig=")
    other_letter = "B" if sas[signature] == "A" else "A"
    another = sas[:signature] + other_letter + sas[signature + 1 :]
    for forged in (sas.replace("sp=rwdlc", "sp=rwdlac"), sas.replace("srt=sco", "srt=co"), another):
        assert forged != sas
        other = client("DataLakeFileClient", file.file_system_name, file.path_name, sas=forged)
        with refused("AuthenticationFailed", 403, ClientAuthenticationError):
            other.download_file()


def test_a_signature_for_https_or_another_address(client, account, file):
    name = file.file_system_name
    with refused("AuthorizationProtocolMismatch", 403):
        client("DataLakeFileClient", name, file.path_name, sas=of_everything(account, protocol="https")).download_file()
    with refused("AuthorizationSourceIPMismatch", 403):
        client("DataLakeFileClient", name, file.path_name, sas=of_everything(account, ip="10.1.2.3")).download_file()
    here = of_everything(account, ip="127.0.0.0-127.0.0.9", protocol="https,http")
    assert content_of(client("DataLakeFileClient", name, file.path_name, sas=here)) == b"0123456789"


def test_a_signature_of_a_file_system(client, account, file):
    name = file.file_system_name
    permission = FileSystemSasPermissions(read=True, list=True)
    sas = filedatalake.generate_file_system_sas(account.name, name, account.key, permission, soon())
    file_system = client("FileSystemClient", name, sas=sas)
    assert names(file_system.get_paths()) == ["directory", "directory/file"]
    assert content_of(file_system.get_file_client(file.path_name)) == b"0123456789"
    with refused("AuthorizationPermissionMismatch", 403):
        file_system.create_file("new")
    with refused("AuthorizationPermissionMismatch", 403):
        file_system.delete_file(file.path_name)
    # It says nothing about others.
    with pytest.raises(HttpResponseError) as caught:
        list(client("FileSystemClient", "another", sas=sas).get_paths())
    assert caught.value.status_code == 403


def test_a_signature_of_a_directory(client, account, file_system, file):
    file_system.create_file("elsewhere")
    name = file.file_system_name
    permission = DirectorySasPermissions(read=True, create=True, write=True, delete=True, list=True)
    sas = filedatalake.generate_directory_sas(account.name, name, "directory", account.key, permission, soon())
    # (As a string the SDK loses it on the way to the listing.)
    directory = client("DataLakeDirectoryClient", name, "directory", sas=AzureSasCredential(sas))
    assert names(directory.get_paths()) == ["directory/file"]
    assert content_of(directory.get_file_client("file")) == b"0123456789"
    made = directory.create_file("deep/new")
    made.upload_data(b"abc", overwrite=True)
    assert content_of(made) == b"abc"
    with pytest.raises(HttpResponseError) as caught:
        client("DataLakeFileClient", name, "elsewhere", sas=sas).download_file()
    assert caught.value.status_code == 403


def test_a_signature_of_a_file(client, account, file_system, file):
    file_system.create_file("directory/other")
    name = file.file_system_name
    sas = filedatalake.generate_file_sas(
        account.name, name, "directory", "file", account.key, FileSasPermissions(read=True), soon(), content_type="text/x"
    )
    reader = client("DataLakeFileClient", name, "directory/file", sas=sas)
    assert content_of(reader) == b"0123456789"
    # The answer's headers are the signature's.
    assert reader.download_file().properties.content_settings.content_type == "text/x"
    with refused("AuthorizationPermissionMismatch", 403):
        reader.delete_file()
    with pytest.raises(HttpResponseError) as caught:
        client("DataLakeFileClient", name, "directory/other", sas=sas).download_file()
    assert caught.value.status_code == 403


def test_a_signature_by_a_stored_policy(client, account, file_system, file):
    name = file.file_system_name
    policy = AccessPolicy(FileSystemSasPermissions(read=True), soon())
    file_system.set_file_system_access_policy({"readers": policy})
    sas = filedatalake.generate_file_system_sas(account.name, name, account.key, policy_id="readers")
    reader = client("DataLakeFileClient", name, file.path_name, sas=sas)
    assert content_of(reader) == b"0123456789"
    with refused("AuthorizationPermissionMismatch", 403):
        reader.delete_file()
    file_system.set_file_system_access_policy({})
    with refused("AuthenticationFailed", 403, ClientAuthenticationError):
        reader.download_file()
