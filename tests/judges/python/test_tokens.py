"""Bearer tokens, over TLS as the SDKs demand it: roles and access control lists, and signatures by user delegation keys."""

import json
import os
import time
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import jwt
import pytest
from authority import ISSUER, KEY_ID, new_key, pem
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.storage import blob, filedatalake
from azure.storage.filedatalake import DirectorySasPermissions, FileSasPermissions
from helpers import content_of, names, new_name, refused

URL = os.environ["LIVEDATA_JUDGE_TLS_ENDPOINT"] + "/" + os.environ["LIVEDATA_JUDGE_ACCOUNT"]
ACCOUNT, KEY = os.environ["LIVEDATA_JUDGE_ACCOUNT"], os.environ["LIVEDATA_JUDGE_KEY"]
AUTHORITY = os.environ["LIVEDATA_JUDGE_AUTHORITY"]
TRUST = {"connection_verify": os.path.join(AUTHORITY, "certificate.pem"), "retry_total": 0}


def token(object_id, signer=None, **claims):
    if signer is None:
        with open(os.path.join(AUTHORITY, "signer.pem"), "rb") as file:
            signer = file.read()
    now = int(time.time())
    said = {"iss": ISSUER, "aud": "https://storage.azure.com", "nbf": now - 60, "exp": now + 3600}
    said |= {"oid": object_id, "tid": "judge"} | claims
    return jwt.encode(said, signer, algorithm="RS256", headers={"kid": KEY_ID})


class Credential:
    def __init__(self, text):
        self.token = AccessToken(text, int(time.time()) + 3600)

    def get_token(self, *_, **__):
        return self.token


class AsyncCredential(Credential):
    async def get_token(self, *_, **__):
        return self.token

    async def close(self):
        pass


@pytest.fixture
def open_as(sdk):
    """A service client of whoever holds a token."""
    opened = []

    def open(text, kind="DataLakeServiceClient"):
        credential = (AsyncCredential if sdk.kind == "async" else Credential)(text)
        client = getattr(sdk, kind)(URL, credential=credential, **TRUST)
        opened.append(client)
        return client

    yield open
    for client in opened:
        client.close()


@pytest.fixture
def lake(sdk):
    """A file system with `directory/file`, of the account's owner."""
    service = sdk.DataLakeServiceClient(URL, credential=KEY, **TRUST)
    file_system = service.create_file_system(new_name())
    file_system.create_file("directory/file").upload_data(b"0123456789", overwrite=True)
    yield file_system
    file_system.delete_file_system()
    service.close()


def assign(role):
    """A new principal with a role on the account."""
    principal = str(uuid.uuid4())
    request = urllib.request.Request(
        f"{os.environ['LIVEDATA_JUDGE_TLS_ADMIN']}/accounts/{ACCOUNT}/roles",
        json.dumps([{"principalId": principal, "role": role}]).encode(),
        {"Authorization": "Bearer judge", "Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request).close()
    return principal


def test_roles(open_as, lake):
    reader = open_as(token(assign("Reader"))).get_file_system_client(lake.file_system_name)
    assert names(reader.get_paths()) == ["directory", "directory/file"]
    assert content_of(reader.get_file_client("directory/file")) == b"0123456789"
    with refused("AuthorizationPermissionMismatch", 403):
        reader.create_file("new")
    with refused("AuthorizationPermissionMismatch", 403):
        reader.delete_file("directory/file")
    writer = open_as(token(assign("Contributor"))).get_file_system_client(lake.file_system_name)
    writer.create_file("new").upload_data(b"x", overwrite=True)
    writer.delete_directory("directory")
    assert names(lake.get_paths()) == ["new"]


def test_lists_grant_what_roles_do_not(open_as, lake):
    alice = str(uuid.uuid4())
    file = open_as(token(alice)).get_file_client(lake.file_system_name, "directory/file")
    with refused("AuthorizationPermissionMismatch", 403):
        file.download_file()
    for path, bits in (("/", "--x"), ("directory", "--x")):
        lake.get_directory_client(path).update_access_control_recursive(f"user:{alice}:{bits}")
    lake.get_file_client("directory/file").set_access_control(acl=f"user::rw-,user:{alice}:r--,group::r--,other::---")
    assert content_of(file) == b"0123456789"
    with refused("AuthorizationPermissionMismatch", 403):
        file.append_data(b"x", offset=10)
    with refused("AuthorizationPermissionMismatch", 403):
        file.delete_file()


@pytest.mark.parametrize(
    "wrong",
    [{"aud": "https://management.azure.com"}, {"iss": "https://other.example/"}, {"exp": 1}, {"signer": pem(new_key())}],
    ids=["audience", "issuer", "time", "signature"],
)
def test_tokens_that_nobody_gave(open_as, lake, wrong):
    with pytest.raises(HttpResponseError) as caught:
        names(open_as(token(assign("Owner"), **wrong)).list_file_systems())
    assert caught.value.status_code == 401


@pytest.fixture
def delegated(open_as):
    """A user delegation key of somebody who may do everything, by either SDK."""
    now, text = datetime.now(timezone.utc), token(assign("Contributor"))
    start, expiry = now - timedelta(minutes=5), now + timedelta(hours=1)
    key = open_as(text).get_user_delegation_key(start, expiry)
    other = open_as(text, "BlobServiceClient").get_user_delegation_key(start, expiry)
    assert key.signed_oid == other.signed_oid and key.value
    return SimpleNamespace(key=key, blob=other, expiry=expiry)


def test_a_delegated_signature_reads_and_nothing_else(sdk, lake, delegated):
    name = lake.file_system_name
    file_sas = filedatalake.generate_file_sas(
        ACCOUNT, name, "directory", "file", delegated.key, FileSasPermissions(read=True), delegated.expiry
    )
    directory_sas = filedatalake.generate_directory_sas(
        ACCOUNT, name, "directory", delegated.key, DirectorySasPermissions(read=True), delegated.expiry
    )
    blob_sas = blob.generate_blob_sas(
        ACCOUNT, name, "directory/file", user_delegation_key=delegated.blob, permission="r", expiry=delegated.expiry
    )
    for sas in (file_sas, directory_sas, blob_sas):
        with sdk.DataLakeFileClient(URL, name, "directory/file", credential=sas, **TRUST) as file:
            assert content_of(file) == b"0123456789"
            with refused("AuthorizationPermissionMismatch", 403):
                file.delete_file()


def test_a_delegated_signature_for_somebody_else(sdk, lake, delegated):
    """Of whom the lists decide."""
    alice, name = str(uuid.uuid4()), lake.file_system_name
    sas = filedatalake.generate_file_sas(
        ACCOUNT,
        name,
        "directory",
        "file",
        delegated.key,
        FileSasPermissions(read=True),
        delegated.expiry,
        agent_object_id=alice,
    )
    with sdk.DataLakeFileClient(URL, name, "directory/file", credential=sas, **TRUST) as file:
        with refused("AuthorizationPermissionMismatch", 403):
            file.download_file()
        for path in ("/", "directory"):
            lake.get_directory_client(path).update_access_control_recursive(f"user:{alice}:r-x")
        assert content_of(file) == b"0123456789"
