"""Leases of files, directories and file systems."""

import uuid

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from helpers import content_of, new_name, refused


def state(path):
    lease = properties_of(path).lease
    return lease.status, lease.state, lease.duration


def properties_of(path):
    getters = ("get_file_properties", "get_directory_properties")
    return next(getattr(path, getter)() for getter in getters if hasattr(bare_class(path), getter))


def bare_class(path):
    return type(getattr(path, "_wrapped", path))


def lease_is_wanted(call, *args, **kwargs):
    with pytest.raises(HttpResponseError) as caught:
        call(*args, **kwargs)
    assert caught.value.status_code == 412
    assert str(caught.value.error_code.value) == "LeaseIdMissing"


def test_a_lease_keeps_others_from_writing(file):
    lease = file.acquire_lease()
    assert state(file) == ("locked", "leased", "infinite")
    lease_is_wanted(file.append_data, b"x", offset=10, flush=True)
    lease_is_wanted(file.set_metadata, {})
    lease_is_wanted(file.set_http_headers)
    lease_is_wanted(file.delete_file)
    lease_is_wanted(file.create_file)
    assert content_of(file) == b"0123456789"
    with refused("LeaseIdMismatchWithBlobOperation", 412):
        file.set_metadata({}, lease=str(uuid.uuid4()))
    file.append_data(b"x", offset=10, lease=lease)
    file.flush_data(11, lease=lease)
    file.set_metadata({"k": "v"}, lease=lease)
    held = lease.id
    lease.release()
    assert state(file) == ("unlocked", "available", None)
    file.set_metadata({})
    with refused("LeaseNotPresentWithBlobOperation", 412):
        file.set_metadata({}, lease=held)


def test_the_life_of_a_lease(sdk, file):
    chosen = str(uuid.uuid4())
    lease = sdk.DataLakeLeaseClient(file, lease_id=chosen)
    lease.acquire(lease_duration=60)
    assert lease.id == chosen and state(file) == ("locked", "leased", "fixed")
    with refused("LeaseAlreadyPresent", 409, ResourceExistsError):
        file.acquire_lease()
    lease.renew()
    # Whoever knows the id may ask for the same lease once more.
    lease.acquire(lease_duration=-1)
    assert state(file)[2] == "infinite"
    changed = str(uuid.uuid4())
    lease.change(changed)
    assert lease.id == changed
    with pytest.raises(HttpResponseError) as caught:
        sdk.DataLakeLeaseClient(file, lease_id=chosen).renew()
    assert caught.value.status_code == 409
    lease.release()
    assert state(file)[1] == "available"


def test_breaking(sdk, file):
    lease = file.acquire_lease(lease_duration=60)
    remaining = sdk.DataLakeLeaseClient(file).break_lease(lease_break_period=50)
    assert 40 <= remaining <= 50
    assert state(file) == ("locked", "breaking", None)
    lease_is_wanted(file.set_metadata, {})
    with pytest.raises(HttpResponseError) as caught:
        lease.renew()
    assert caught.value.status_code == 409
    assert sdk.DataLakeLeaseClient(file).break_lease(lease_break_period=0) == 0
    assert state(file) == ("unlocked", "broken", None)
    file.acquire_lease().release()


@pytest.mark.parametrize("duration", [0, 14, 61, -2])
def test_durations_that_no_lease_has(file, duration):
    with pytest.raises(HttpResponseError) as caught:
        file.acquire_lease(lease_duration=duration)
    assert caught.value.status_code == 400


def test_directories_are_leased_alike(directory):
    lease = directory.acquire_lease(lease_duration=15)
    assert state(directory) == ("locked", "leased", "fixed")
    lease_is_wanted(directory.delete_directory)
    directory.delete_directory(lease=lease)
    assert not directory.exists()


def test_a_leased_source_is_renamed_with_its_lease(file):
    lease = file.acquire_lease()
    target = f"{file.file_system_name}/moved"
    lease_is_wanted(file.rename_file, target)
    file.rename_file(target, source_lease=lease)
    assert not file.exists()


def test_a_file_is_made_with_a_lease(file_system):
    file = file_system.get_file_client("file")
    chosen = str(uuid.uuid4())
    file.create_file(lease_id=chosen, lease_duration=15)
    assert state(file) == ("locked", "leased", "fixed")
    lease_is_wanted(file.append_data, b"x", offset=0)


def test_writes_take_and_give_back_leases(file_system):
    file = file_system.create_file("file")
    chosen = str(uuid.uuid4())
    file.append_data(b"abc", offset=0, lease_action="acquire", lease_duration=15, lease=chosen)
    assert state(file) == ("locked", "leased", "fixed")
    file.append_data(b"def", offset=3, lease_action="auto-renew", lease=chosen)
    file.flush_data(6, lease_action="release", lease=chosen, close=True)
    assert state(file)[1] == "available" and content_of(file) == b"abcdef"
    file.append_data(b"ghi", offset=6, lease_action="acquire-release", lease_duration=15, lease=chosen, flush=True)
    assert state(file)[1] == "available" and content_of(file) == b"abcdefghi"


def test_a_file_system_is_leased_against_its_deletion(service):
    file_system = service.create_file_system(new_name())
    lease = file_system.acquire_lease()
    assert file_system.get_file_system_properties().lease.state == "leased"
    lease_is_wanted(file_system.delete_file_system)
    # What is in it is not under the lease.
    file_system.create_file("file").upload_data(b"x", overwrite=True)
    lease.break_lease(lease_break_period=0)
    second = file_system.acquire_lease(lease_duration=15)
    file_system.delete_file_system(lease=second)
    assert not file_system.exists()
