"""A program launched as a copy of its parent: what it has of the parent, and what it has not."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARENT = """
import json, os, signal, socket, sys, threading, time
from hpns import forking

def fork(work, *descriptors):
    return forking.fork(work, "hpns.copied", descriptors)
"""


def run(code: str) -> "subprocess.CompletedProcess[str]":
    """Run a program that forks, to its end."""
    return subprocess.run(
        [sys.executable, "-c", PARENT + code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


@pytest.mark.parametrize(
    ("work", "code", "err"),
    [
        ("lambda: 7", 7, ""),
        ("lambda: sys.exit(3)", 3, ""),
        ("lambda: sys.exit()", 0, ""),
        ("lambda: sys.exit('PORT is no number.')", 1, "PORT is no number.\n"),
        ("lambda: 1 / 0", 1, "ZeroDivisionError"),
        ("lambda: os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
    ],
)
def test_its_end_is_that_of_a_program(work: str, code: int, err: str) -> None:
    done = run(f"print(fork({work}).wait()); print('the parent goes on')")
    assert done.stdout.splitlines() == [str(code), "the parent goes on"]
    assert err in done.stderr
    assert err or not done.stderr


def test_it_keeps_no_file_of_its_parents_open_but_those_it_is_given() -> None:
    done = run(
        "ours, theirs = socket.socketpair(); others = socket.socketpair()\n"
        "def work():\n"
        "    numbers = [int(each) for each in os.listdir('/proc/self/fd')]\n"
        "    open_now = [each for each in numbers if os.path.exists(f'/proc/self/fd/{each}')]\n"
        "    print(open_now == [0, 1, 2, theirs.fileno()], os.readlink('/proc/self/fd/0'))\n"
        "fork(work, theirs.fileno()).wait()\n"
        "print(others[0].fileno() > 2)"
    )
    assert done.stdout.splitlines() == ["True /dev/null", "True"], done.stderr


def test_it_answers_signals_as_a_new_program_and_not_as_its_parent() -> None:
    done = run(
        "heard = []\n"
        "woken, waking = socket.socketpair()\n"
        "waking.setblocking(False)\n"
        "signal.set_wakeup_fd(waking.fileno())\n"
        "for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1):\n"
        "    signal.signal(number, lambda *_: heard.append(1))\n"
        "codes = []\n"
        "for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):\n"
        "    child = fork(lambda: os.kill(os.getpid(), number))\n"
        "    codes.append(-child.wait() == number)\n"
        "woken.setblocking(False)\n"
        "print(codes, heard)\n"
        "woken.recv(1)"
    )
    assert done.stdout.splitlines() == ["[True, True, True] []"], done.stderr
    assert "BlockingIOError" in done.stderr, "nothing came to the parent"


def test_it_is_known_by_its_own_name_in_lists_of_processes() -> None:
    done = run(
        "def work():\n    print(open('/proc/self/cmdline').read().split(chr(0))[0])\n"
        "fork(work).wait()\nprint('hpns' in open('/proc/self/cmdline').read().split(chr(0))[0])"
    )
    assert done.stdout.splitlines() == ["hpns.copied", "False"], done.stderr


def test_a_parent_with_more_than_one_thread_is_not_copied() -> None:
    done = run(
        "import threading\nmore = threading.Event()\nthreading.Thread(target=more.wait, daemon=True).start()\n"
        "try:\n    fork(lambda: print('begun'))\nexcept RuntimeError as error:\n    print(error)"
    )
    assert done.stdout.startswith("a process with 2 threads cannot be copied"), done.stderr


def test_it_is_waited_for_as_any_child_and_ended_at_once() -> None:
    done = run(
        "import subprocess\nchild = fork(lambda: time.sleep(600))\nprint(child.poll())\n"
        "try:\n    child.wait(0.1)\nexcept subprocess.TimeoutExpired:\n    print('runs')\n"
        "child.kill()\nprint(child.wait(100), child.poll())\nchild.send_signal(signal.SIGTERM)"
    )
    assert done.stdout.splitlines() == ["None", "runs", "-9 -9"], done.stderr


def test_two_copies_draw_different_random_numbers() -> None:
    done = run(
        "import random, secrets, ssl\nrandom.random(); ssl.RAND_bytes(1)\n"
        "def work():\n    print(random.random(), secrets.token_hex(8), ssl.RAND_bytes(8).hex())\n"
        "fork(work).wait(); fork(work).wait()"
    )
    first, second = (line.split() for line in done.stdout.splitlines())
    assert not set(first) & set(second)
