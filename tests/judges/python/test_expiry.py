"""Files that end by themselves."""

import time
from datetime import datetime, timedelta, timezone

from helpers import refused


def close(moment, expected):
    return abs((moment - expected).total_seconds()) < 30


def test_expiry_is_set_shown_and_taken_back(file_system, file):
    created = file.get_file_properties().creation_time
    file.set_file_expiry("RelativeToCreation", expires_on=3_600_000)
    assert close(file.get_file_properties().expiry_time, created + timedelta(hours=1))
    now = datetime.now(timezone.utc)
    file.set_file_expiry("RelativeToNow", expires_on=7_200_000)
    assert close(file.get_file_properties().expiry_time, now + timedelta(hours=2))
    moment = (now + timedelta(days=1)).replace(microsecond=0)
    file.set_file_expiry("Absolute", expires_on=moment.replace(tzinfo=None))
    assert file.get_file_properties().expiry_time == moment
    listed = {path.name: path for path in file_system.get_paths()}
    assert close(listed["directory/file"].expiry_time, moment) and listed["directory"].expiry_time is None
    file.set_file_expiry("NeverExpire")
    assert file.get_file_properties().expiry_time is None


def test_a_file_is_made_with_an_expiry(file_system):
    file = file_system.get_file_client("file")
    file.create_file(expires_on=3_600_000)
    assert close(file.get_file_properties().expiry_time, datetime.now(timezone.utc) + timedelta(hours=1))


def test_an_expired_file_is_gone(file_system, file):
    file.set_file_expiry("RelativeToNow", expires_on=1)
    give_up = time.monotonic() + 60
    while file.exists():
        assert time.monotonic() < give_up, "it never expires"
    assert [path.name for path in file_system.get_paths()] == ["directory"]
    with refused("BlobNotFound", 404):
        file.get_file_properties()
