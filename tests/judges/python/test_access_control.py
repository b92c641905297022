"""Permissions and access control lists, one path at a time and recursively."""

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError
from helpers import refused

ALICE = "11111111-1111-1111-1111-111111111111"
BOB = "22222222-2222-2222-2222-222222222222"


def shown(path):
    access = path.get_access_control()
    return access["permissions"], access["acl"]


def test_modes_of_new_paths(file_system):
    assert shown(file_system.create_file("f")) == ("rw-r-----", "user::rw-,group::r--,other::---")
    assert shown(file_system.create_directory("d")) == ("rwxr-x---", "user::rwx,group::r-x,other::---")
    assert shown(file_system.create_file("g", permissions="0777", umask="0000"))[0] == "rwxrwxrwx"
    assert shown(file_system.create_file("h", permissions="rwxr--r-x", umask="0002"))[0] == "rwxr--r-x"
    assert shown(file_system.create_directory("e", permissions="1777", umask="0000"))[0] == "rwxrwxrwt"


def test_permissions_owner_and_group(file, directory):
    for path in (file, directory):
        path.set_access_control(permissions="0751")
        assert shown(path) == ("rwxr-x--x", "user::rwx,group::r-x,other::--x")
        path.set_access_control(permissions="r--r--r--")
        path.set_access_control(owner=ALICE, group=BOB)
        access = path.get_access_control(upn=True)
        assert (access["owner"], access["group"], access["permissions"]) == (ALICE, BOB, "r--r--r--")
        with refused("ConditionNotMet", 412, ResourceModifiedError):
            path.set_access_control(permissions="0777", etag='"0x1"', match_condition=MatchConditions.IfNotModified)


def test_access_control_is_told_with_the_properties(file, directory):
    file.set_access_control(acl=f"user::rwx,user:{ALICE}:r-x,group::r--,other::---", owner=BOB)
    properties = file.get_file_properties()
    assert (properties.owner, properties.permissions) == (BOB, "rwxr-x---+")
    assert directory.get_directory_properties().permissions == "rwxr-x---"


def test_a_list_with_names_has_a_mask(file):
    file.set_access_control(acl=f"user::rwx,user:{ALICE}:rw-,group::r--,other::---")
    assert shown(file) == ("rwxrw----+", f"user::rwx,user:{ALICE}:rw-,group::r--,mask::rw-,other::---")
    # The group's bits of a mode are those of the mask.
    file.set_access_control(permissions="0640")
    assert shown(file) == ("rw-r-----+", f"user::rw-,user:{ALICE}:rw-,group::r--,mask::r--,other::---")
    file.set_access_control(acl="user::rwx,group::rwx,other::r--")
    assert shown(file) == ("rwxrwxr--", "user::rwx,group::rwx,other::r--")


@pytest.mark.parametrize("acl", ["user::rw", "user::rwx,group::r-x,other::rw", "nobody::rwx,group::r-x,other::---"])
def test_lists_that_are_none(file, acl):
    before = shown(file)
    with pytest.raises(HttpResponseError) as caught:
        file.set_access_control(acl=acl)
    assert caught.value.status_code == 400
    assert shown(file) == before


def test_what_a_list_leaves_out_of_the_base_stays(file):
    file.set_access_control(permissions="0640")
    file.set_access_control(acl="user::rwx")
    assert shown(file) == ("rwxr-----", "user::rwx,group::r--,other::---")


def test_default_lists_are_handed_down(file_system):
    directory = file_system.create_directory("d")
    directory.set_access_control(
        acl=f"user::rwx,group::r-x,other::---,default:user::rwx,default:user:{ALICE}:rwx,default:group::r-x,"
        "default:mask::rwx,default:other::---"
    )
    permissions, acl = shown(directory.create_file("f"))
    assert permissions.endswith("+") and f"user:{ALICE}:rwx" in acl and "default:" not in acl
    _, acl = shown(directory.create_sub_directory("s"))
    assert f"default:user:{ALICE}:rwx" in acl and f",user:{ALICE}:rwx" in acl


@pytest.fixture
def tree(file_system):
    """Three directories, two files."""
    directory = file_system.create_directory("tree")
    for path in ("a/1", "b/2"):
        directory.create_file(path)
    return directory


def lists(tree):
    paths = [tree.get_sub_directory_client("a"), tree.get_sub_directory_client("b")]
    paths += [tree.get_file_client("a/1"), tree.get_file_client("b/2")]
    return [shown(path)[1] for path in [tree, *paths]]


def test_recursively_set_updated_and_removed(tree):
    plain = "user::rwx,group::r-x,other::---"
    result = tree.set_access_control_recursive(acl=plain)
    counters = result.counters
    assert (counters.directories_successful, counters.files_successful, counters.failure_count) == (3, 2, 0)
    assert result.continuation is None and lists(tree) == [plain] * 5

    result = tree.update_access_control_recursive(acl=f"user:{ALICE}:r--")
    assert (result.counters.directories_successful, result.counters.files_successful) == (3, 2)
    assert lists(tree) == [f"user::rwx,user:{ALICE}:r--,group::r-x,mask::r-x,other::---"] * 5

    result = tree.remove_access_control_recursive(acl=f"mask,user:{ALICE}")
    assert (result.counters.directories_successful, result.counters.files_successful) == (3, 2)
    assert lists(tree) == [plain] * 5


class Noting(list):
    """A hook for both halves of the SDK: one calls it, the other also awaits what it returns."""

    def __call__(self, changes):
        self.append(changes)
        return self

    def __await__(self):
        return iter(())


def test_recursively_in_batches(tree):
    seen = Noting()
    result = tree.set_access_control_recursive(
        acl="user::rwx,group::rwx,other::rwx", batch_size=2, progress_hook=seen
    )
    batches = [(changes.batch_counters.directories_successful, changes.batch_counters.files_successful) for changes in seen]
    assert [sum(batch) for batch in batches] == [2, 2, 1]
    assert (sum(b[0] for b in batches), sum(b[1] for b in batches)) == (3, 2)
    assert seen[-1].aggregate_counters.directories_successful == result.counters.directories_successful == 3
    assert set(lists(tree)) == {"user::rwx,group::rwx,other::rwx"}


def test_recursively_stopped_and_continued(tree):
    acl = "user::rwx,group::---,other::---"
    first = tree.set_access_control_recursive(acl=acl, batch_size=2, max_batches=1)
    assert first.counters.directories_successful + first.counters.files_successful == 2
    assert first.continuation
    second = tree.set_access_control_recursive(acl=acl, batch_size=2, continuation_token=first.continuation)
    assert second.counters.directories_successful + second.counters.files_successful == 3
    assert second.continuation is None and lists(tree) == [acl] * 5


def test_recursively_on_a_file(file):
    result = file.set_access_control_recursive(acl="user::rwx,group::r--,other::r--")
    assert (result.counters.directories_successful, result.counters.files_successful) == (0, 1)
    file.update_access_control_recursive(acl=f"user:{ALICE}:rwx")
    assert shown(file)[1] == f"user::rwx,user:{ALICE}:rwx,group::r--,mask::rwx,other::r--"
    file.remove_access_control_recursive(acl=f"mask,user:{ALICE}")
    assert shown(file)[1] == "user::rwx,group::r--,other::r--"
