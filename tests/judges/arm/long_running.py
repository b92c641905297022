"""Microsoft's client of the resource manager follows every kind of long-running operation to its end.

The poller is azure-mgmt-core's ARMPolling: it reads Azure-AsyncOperation and Location as real tools do.
"""

import os
import sys

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.resource.resources import ResourceManagementClient

ENDPOINT = os.environ["LIVEDATA_ENDPOINT"]
SUBSCRIPTION = os.environ["LIVEDATA_SUBSCRIPTION"]
VERSIONS = {"LiveData.Platform": "2026-11-01-preview", "Wandisco.Fusion": "2023-11-01-preview"}


def client():
    credential = ClientSecretCredential(
        os.environ["LIVEDATA_TENANT"],
        os.environ["LIVEDATA_CLIENT_ID"],
        os.environ["LIVEDATA_CLIENT_SECRET"],
        authority=ENDPOINT,
        disable_instance_discovery=True,
    )
    return ResourceManagementClient(
        credential,
        SUBSCRIPTION,
        base_url=ENDPOINT,
        credential_scopes=[f"{ENDPOINT}//.default"],
        polling_interval=1,
    )


def drive(arm, namespace):
    version = VERSIONS[namespace]
    resources = arm.resources
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg"
    migrator = f"{group}/providers/{namespace}/migrators/sdk"
    source = {"source": {"kind": "LocalDirectory", "uri": "file:///srv/lake"}}
    body = {"location": "westeurope", "tags": {"a": "b"}, "properties": {} if "Fusion" in namespace else source}
    made = resources.begin_create_or_update_by_id(migrator, body, api_version=version).result()
    assert made.id == migrator, made.id
    assert made.properties["provisioningState"] == "Succeeded", made.properties

    # A target whose account does not exist ends its operation in failure, and says why.
    nowhere = f"{group}/providers/Microsoft.Storage/storageAccounts/nowhere"
    key = "dmVyeS1zZWNyZXQtYWNjb3VudC1rZXk="
    credential = {"storageAccessKey": key} if "Fusion" in namespace else {"credential": {"kind": "AccountKey", "accountKey": key}}
    target = {"properties": {"storageAccountId": nowhere, "storageContainer": "data", **credential}}
    try:
        resources.begin_create_or_update_by_id(f"{migrator}/targets/t", target, api_version=version).result()
    except HttpResponseError as error:
        assert error.error.code == "StorageAccountNotFound", error
    else:
        sys.exit("a target without an account was taken for made")
    resources.begin_delete_by_id(f"{migrator}/targets/t", api_version=version).result()

    account = f"{group}/providers/Microsoft.Storage/storageAccounts/{os.environ['LIVEDATA_ACCOUNT']}"
    target["properties"]["storageAccountId"] = account
    resources.begin_create_or_update_by_id(f"{migrator}/targets/t", target, api_version=version).result()
    migration = f"{migrator}/liveDataMigrations/x"
    body = {"properties": {"path": "/data", "targetId": f"{migrator}/targets/t"}}
    resources.begin_create_or_update_by_id(migration, body, api_version=version).result()
    patch = {"properties": {"priority": "High"}}
    patched = resources.begin_update_by_id(migration, patch, api_version=version).result()
    assert patched.properties["priority"] == "High", patched.properties
    assert resources.get_by_id(migration, api_version=version).properties["priority"] == "High"
    resources.begin_delete_by_id(migration, api_version=version).result()
    resources.begin_delete_by_id(migrator, api_version=version).result()
    try:
        resources.get_by_id(migrator, api_version=version)
    except HttpResponseError as error:
        assert error.status_code == 404, error
    else:
        sys.exit("a migrator that was deleted is still there")
    print(f"{namespace}: followed to the end")


def main():
    arm = client()
    for namespace in VERSIONS:
        arm.providers.register(namespace)
        drive(arm, namespace)


main()
