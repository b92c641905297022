"""Apache OpenDAL, which is written in Rust: its azdls service on the DFS endpoint, its azblob service on the Blob endpoint.

Its deletions look the same on both, so that only the name of the host tells them apart. Such names resolve nowhere; the
emulator is the proxy for them.
"""

import os
import uuid

import opendal
import pytest
from azure.storage.blob import BlobServiceClient
from opendal.exceptions import AlreadyExists, ConditionNotMatch, NotFound

os.environ["http_proxy"] = os.environ["LIVEDATA_JUDGE_ENDPOINT"]
os.environ["no_proxy"] = "127.0.0.1"
ENDPOINT = f"{os.environ['LIVEDATA_JUDGE_ENDPOINT']}/{os.environ['LIVEDATA_JUDGE_ACCOUNT']}"
ACCOUNT = {
    "endpoint": ENDPOINT,
    "account_name": os.environ["LIVEDATA_JUDGE_ACCOUNT"],
    "account_key": os.environ["LIVEDATA_JUDGE_KEY"],
}
DATA = bytes(range(256)) * 40


@pytest.fixture
def container():
    name = f"c-{uuid.uuid4().hex}"
    service = BlobServiceClient(ENDPOINT, credential=ACCOUNT["account_key"])
    service.create_container(name)
    yield name
    service.delete_container(name)
    service.close()


def open_azdls(container, root):
    endpoint = f"http://{ACCOUNT['account_name']}.dfs.judge.test"
    return opendal.Operator("azdls", **ACCOUNT | {"filesystem": container, "root": root, "endpoint": endpoint})


def open_azblob(container, root):
    return opendal.Operator("azblob", container=container, root=root, **ACCOUNT)


@pytest.fixture
def azdls(container):
    return open_azdls(container, "/")


@pytest.fixture(params=[open_azdls, open_azblob], ids=["azdls", "azblob"])
def operator(request, container):
    return request.param(container, "/root/of/it/")


def paths(entries):
    return sorted(entry.path for entry in entries)


def test_written_and_read(operator):
    operator.check()
    operator.write("directory/file", DATA)
    assert operator.read("directory/file") == DATA
    assert operator.read("directory/file", offset=1000, size=10) == DATA[1000:1010]
    stat = operator.stat("directory/file")
    assert stat.content_length == len(DATA) and stat.mode.is_file() and stat.etag and stat.last_modified
    assert operator.stat("directory/").mode.is_dir()
    operator.write("directory/file", b"other")
    assert operator.read("directory/file") == b"other"
    operator.write("empty", b"")
    assert operator.read("empty") == b""
    with pytest.raises(NotFound):
        operator.stat("nothing")
    with pytest.raises(NotFound):
        operator.read("nothing")


def test_written_in_parts(operator):
    with operator.open("parts", "wb") as file:
        for _ in range(5):
            file.write(DATA)
    assert operator.read("parts") == DATA * 5
    with operator.open("parts", "rb") as file:
        file.seek(len(DATA) * 4 + 5)
        assert file.read(7) == DATA[5:12]


def test_directories(azdls):
    azdls.create_dir("made/below/")
    azdls.create_dir("made/below/")
    assert azdls.stat("made/below/").mode.is_dir()
    azdls.write("made/1", b"x")
    assert {"made/1", "made/below/"} <= set(paths(azdls.list("made/")))


def test_listing(operator):
    for name in ("made/1", "made/below/2"):
        operator.write(name, b"x")
    assert {"made/1", "made/below/"} <= set(paths(operator.list("made/")))
    assert {"made/1", "made/below/2"} <= set(paths(operator.list("made/", recursive=True)))
    assert paths(operator.list("nothing/")) == []


def test_deletion(operator):
    operator.write("a/file", b"x")
    operator.delete("a/file")
    assert not operator.exists("a/file")
    # What is not there is gone, too.
    operator.delete("a/file")


def test_deletion_of_a_tree(azdls):
    azdls.write("b/c/file", b"x")
    azdls.remove_all("b/")
    assert not azdls.exists("b/c/file") and not azdls.exists("b/")


def test_deletion_of_many(container):
    # In batches. What this service of OpenDAL does not know as a directory stays, and looks like a file to it.
    operator = open_azblob(container, "/root/of/it/")
    for number in range(300):
        operator.write(f"b/{number}", b"x")
    operator.write("c", b"x")
    operator.remove_all("b/")
    assert paths(operator.list("/", recursive=True)) == ["b", "c"]


@pytest.mark.parametrize("name", ["with space", "per%cent%41", "plus+and&", "umlaut \u00e4\u2713", "a=b;c"])
def test_names_of_all_kinds(operator, name):
    operator.write(f"names/{name}", name.encode())
    assert operator.read(f"names/{name}") == name.encode()
    assert f"names/{name}" in paths(operator.list("names/"))


def test_copies_inside_the_service(container):
    operator = open_azblob(container, "/")
    operator.write("from", DATA)
    operator.copy("from", "to/here")
    assert operator.read("to/here") == DATA and operator.read("from") == DATA


def test_renames(azdls):
    azdls.write("from", DATA)
    azdls.create_dir("to/")
    azdls.rename("from", "to/here")
    assert azdls.read("to/here") == DATA and not azdls.exists("from")
    azdls.write("other", b"x")
    azdls.rename("other", "to/here")
    assert azdls.read("to/here") == b"x"
    with pytest.raises(NotFound):
        azdls.rename("nothing", "to/nothing")


def test_appends(azdls):
    azdls.write("file", b"one ", append=True)
    azdls.write("file", b"two", append=True)
    assert azdls.read("file") == b"one two"


def test_conditions(operator):
    operator.write("file", b"x", if_not_exists=True)
    with pytest.raises((ConditionNotMatch, AlreadyExists)):
        operator.write("file", b"y", if_not_exists=True)
    assert operator.read("file") == b"x"
