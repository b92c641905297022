"""Prints a tree as JSON: path below the root -> [kind, size, SHA-256, permissions].

    reader.py directory DIRECTORY
    reader.py adls ENDPOINT ACCOUNT KEY FILESYSTEM DIRECTORY

The second form reads with Microsoft's own SDK.
"""

import hashlib
import json
import os
import stat
import sys


def directory(root):
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            permissions = stat.filemode(mode)[1:]
            if stat.S_ISDIR(mode):
                yield os.path.relpath(path, root), ["directory", 0, None, permissions]
            else:
                with open(path, "rb") as file:
                    content = file.read()
                yield os.path.relpath(path, root), ["file", len(content), digest(content), permissions]


def adls(endpoint, account, key, filesystem, root):
    from azure.core.credentials import AzureNamedKeyCredential
    from azure.storage.filedatalake import DataLakeServiceClient

    service = DataLakeServiceClient(endpoint, credential=AzureNamedKeyCredential(account, key))
    client = service.get_file_system_client(filesystem)
    for item in client.get_paths(path=root, recursive=True):
        path = os.path.relpath(item.name, root)
        if item.is_directory:
            yield path, ["directory", 0, None, item.permissions]
        else:
            content = client.get_file_client(item.name).download_file().readall()
            yield path, ["file", item.content_length, digest(content), item.permissions]


def digest(content):
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    read = {"directory": directory, "adls": adls}[sys.argv[1]]
    json.dump(dict(read(*sys.argv[2:])), sys.stdout)
