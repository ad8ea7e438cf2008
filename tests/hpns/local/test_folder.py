"""The state folder: private files, one holder, ports and secrets that stay."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hpns.local.account import Account, for_servers
from hpns.local.folder import PORTS, SHARED_ROOT, Folder, free, private
from hpns.local.problem import ProblemError


def test_a_secret_is_made_once_and_stays_the_same(folder: Folder) -> None:
    made = [folder.secret("name", lambda: "first"), folder.secret("name", lambda: "second")]
    assert made == ["first", "first"]


def test_files_with_secrets_are_readable_by_their_owner_alone(folder: Folder) -> None:
    folder.secret("name", lambda: "value")
    assert stat.S_IMODE((folder.path / "secrets.json").stat().st_mode) == 0o600


def test_a_private_file_replaces_the_old_one_whatever_its_mode_was(folder: Folder) -> None:
    path = folder.path / "file"
    path.write_text("old")
    path.chmod(0o644)
    private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_unreadable_json_file_is_named_and_not_overwritten(folder: Folder) -> None:
    (folder.path / "secrets.json").write_text('{"half": ')
    with pytest.raises(ProblemError, match=r"secrets\.json cannot be read .* remove the state folder"):
        folder.secret("name", lambda: "value")
    assert (folder.path / "secrets.json").read_text() == '{"half": '


def test_a_folder_that_cannot_be_written_is_a_problem_with_advice(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(ProblemError, match=r"Cannot write to the state folder .*file/state: .*--state"):
        Folder(place / "file" / "state", for_servers())


def test_an_unwritable_folder_of_somebody_else_is_a_problem(place: Path) -> None:
    text = (
        "import os, sys; from pathlib import Path; from hpns.local.account import Account, for_servers\n"
        "from hpns.local.folder import Folder; from hpns.local.problem import ProblemError\n"
        "if os.geteuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: Folder(Path('/proc/1/state'), Account(os.geteuid(), os.getegid(), drops=False))\n"
        "except ProblemError as problem: print(problem)\n"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Cannot write to the state folder /proc/1/state: ")
    assert len(done.stdout.splitlines()) == 1


def test_a_second_holder_is_told_who_holds_the_folder(folder: Folder) -> None:
    folder.lock()
    with pytest.raises(ProblemError, match=rf"in use by process {os.getpid()}: stop it .*--state"):
        Folder(folder.path, for_servers()).lock()


def test_the_lock_of_a_holder_that_was_killed_is_no_obstacle(folder: Folder) -> None:
    text = (
        "import os, signal, sys; from pathlib import Path; from hpns.local.account import for_servers\n"
        "from hpns.local.folder import Folder\n"
        "Folder(Path(sys.argv[1]), for_servers()).lock(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", text, str(folder.path)], check=False)
    assert killed.returncode == -9
    folder.lock()


def test_a_port_is_remembered_for_the_next_start(folder: Folder) -> None:
    port = folder.port("postgres")
    assert port in PORTS
    assert Folder(folder.path, for_servers()).port("postgres") == port


def test_another_port_is_taken_when_the_remembered_one_is_busy(folder: Folder) -> None:
    port = folder.port("postgres")
    with socket.create_server(("127.0.0.1", port)):
        assert not free(port)
        other = folder.port("postgres")
    assert other != port
    assert json.loads((folder.path / "ports.json").read_text()) == {"postgres": other}


def test_two_processes_never_get_the_same_port(folder: Folder) -> None:
    ports = [folder.port(f"process {number}") for number in range(50)]
    assert len(set(ports)) == 50


def test_data_moves_to_a_shared_place_when_the_servers_cannot_reach_the_folder(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    folder = Folder(closed / "state", Account(65534, 65534, drops=True))
    try:
        assert folder.servers.parent == SHARED_ROOT
        assert stat.S_IMODE(folder.servers.stat().st_mode) == 0o711
        assert Folder(closed / "state", folder.account).servers == folder.servers
    finally:
        shutil.rmtree(folder.servers)


def test_data_of_a_state_folder_that_was_removed_is_not_met_again(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    account = Account(65534, 65534, drops=True)
    shared = Folder(closed / "state", account).servers
    try:
        (shared / "data").touch()
        assert (Folder(closed / "state", account).servers / "data").exists()
        shutil.rmtree(closed / "state")
        assert not (Folder(closed / "state", account).servers / "data").exists()
    finally:
        shutil.rmtree(shared)


@pytest.mark.parametrize("trick", ["open to all", "a link"])
def test_a_shared_place_that_somebody_else_prepared_is_refused(place: Path, trick: str) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    account = Account(65534, 65534, drops=True)
    shared = Folder(closed / "state", account).servers
    shutil.rmtree(shared)
    if trick == "a link":
        shared.symlink_to(place)
    else:
        shared.mkdir()
        shared.chmod(0o777)
    try:
        with pytest.raises(ProblemError, match=r"is not ours .* remove it"):
            Folder(closed / "state", account)
    finally:
        shared.unlink() if trick == "a link" else shared.rmdir()
