"""adlfs, the file system of fsspec, with which pandas and Dask read lakes. It uses the Blob endpoint."""

import os
import uuid

import fsspec
import pytest

URL = f"{os.environ['LIVEDATA_JUDGE_ENDPOINT']}/{os.environ['LIVEDATA_JUDGE_ACCOUNT']}"
CONNECTION = (
    f"DefaultEndpointsProtocol=http;AccountName={os.environ['LIVEDATA_JUDGE_ACCOUNT']};"
    f"AccountKey={os.environ['LIVEDATA_JUDGE_KEY']};BlobEndpoint={URL}"
)
DATA = bytes(range(256)) * 40


@pytest.fixture
def lake():
    return fsspec.filesystem(
        "abfs",
        account_name=os.environ["LIVEDATA_JUDGE_ACCOUNT"],
        connection_string=CONNECTION,
        skip_instance_cache=True,
    )


@pytest.fixture
def container(lake):
    name = f"c-{uuid.uuid4().hex}"
    lake.mkdir(name)
    yield name
    lake.rm(name, recursive=True)
    assert not lake.exists(name)


def test_containers(lake, container):
    assert container in [name.rstrip("/") for name in lake.ls("")]
    assert lake.isdir(container) and lake.exists(container)
    assert lake.ls(container) == []


def test_written_and_read(lake, container):
    path = f"{container}/directory/file"
    lake.pipe(path, DATA)
    assert lake.cat(path) == DATA
    assert lake.cat_file(path, start=10, end=20) == DATA[10:20]
    assert lake.info(path)["size"] == lake.size(path) == len(DATA)
    assert lake.isfile(path) and lake.isdir(f"{container}/directory")
    with lake.open(path, "rb") as file:
        file.seek(-6, 2)
        assert file.read() == DATA[-6:]
    with pytest.raises(FileNotFoundError):
        lake.cat(f"{container}/nothing")
    assert not lake.exists(f"{container}/nothing")


def test_written_in_blocks(lake, container):
    path = f"{container}/large"
    with lake.open(path, "wb", block_size=5 * 2**20) as file:
        for _ in range(1200):
            file.write(DATA)
    assert lake.size(path) == 1200 * len(DATA)
    assert lake.cat_file(path, start=5 * 2**20 - 3, end=5 * 2**20 + 3) == (DATA * 600)[5 * 2**20 - 3 : 5 * 2**20 + 3]
    assert lake.checksum(path)


def test_listing(lake, container):
    for name in ("b/2", "b/1", "a", "c/d/e"):
        lake.touch(f"{container}/{name}")
    assert sorted(lake.ls(container)) == [f"{container}/{name}" for name in ("a", "b", "c")]
    files = [f"{container}/{name}" for name in ("a", "b/1", "b/2", "c/d/e")]
    assert sorted(lake.find(container)) == files
    assert sorted(lake.glob(f"{container}/b/*")) == files[1:3]
    assert sorted(lake.glob(f"{container}/**/e")) == files[3:]
    walked = {root: (sorted(folders), sorted(found)) for root, folders, found in lake.walk(container)}
    assert walked[container] == (["b", "c"], ["a"]) and walked[f"{container}/c/d"] == ([], ["e"])
    assert {entry["type"] for entry in lake.ls(container, detail=True)} == {"file", "directory"}


def test_copied_moved_and_removed(lake, container):
    lake.pipe(f"{container}/from/file", DATA)
    lake.cp_file(f"{container}/from/file", f"{container}/to/copy")
    assert lake.cat(f"{container}/to/copy") == DATA
    lake.mv(f"{container}/from/file", f"{container}/to/moved")
    assert lake.cat(f"{container}/to/moved") == DATA and not lake.exists(f"{container}/from/file")
    lake.rm(f"{container}/to", recursive=True)
    assert sorted(lake.find(container)) == []


def test_up_and_down(lake, container, tmp_path):
    (tmp_path / "up" / "deep").mkdir(parents=True)
    (tmp_path / "up" / "deep" / "file").write_bytes(DATA)
    (tmp_path / "up" / "umlaut \u00e4 %41+").write_bytes(b"x")
    lake.put(f"{tmp_path}/up/", f"{container}/tree", recursive=True)
    lake.get(f"{container}/tree", f"{tmp_path}/down", recursive=True)
    assert (tmp_path / "down" / "deep" / "file").read_bytes() == DATA
    assert (tmp_path / "down" / "umlaut \u00e4 %41+").read_bytes() == b"x"


def test_metadata(lake, container):
    path = f"{container}/file"
    lake.pipe(path, b"x")
    lake.setxattrs(path, team="lake")
    assert lake.getxattr(path, "team") == "lake"
