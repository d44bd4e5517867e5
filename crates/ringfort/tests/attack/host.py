# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes this process see a lesser host, then becomes a program: host.py KIND PROGRAM [WORD...]

container   what a container engine's default leaves: no mounts, no namespaces, few capabilities
no-userns   root of a user namespace in which no further one can be made
few-rights  the same with the right to mount and none over networks, as a container may have it
nobody      root like that without any capability: an ordinary user of a host without user namespaces
"""
import ctypes
import os
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NEW_NAMESPACES = 0x7E020000
UNSHARE, SETNS, MOUNT, UMOUNT, PIVOT_ROOT, CLONE, CLONE3 = 272, 308, 165, 166, 155, 56, 435
OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, FSPICK, MOUNT_SETATTR = 428, 429, 430, 431, 432, 433, 442
SETPCAP, SYS_ADMIN = 8, 21
DOCKER_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}


def call(name, *words):
    if getattr(LIBC, name)(*words) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)


def keep_capabilities(kept):
    for number in range(64):
        if number not in kept:
            LIBC.prctl(24, number, 0, 0, 0)
    # Permitted and effective follow the bounding set at the next execve of root.


def refuse_calls():
    def instruction(code, value, yes=0, no=0):
        return struct.pack("HBBI", code, yes, no, value)

    load, equal, any_bit, answer = 0x20, 0x15, 0x45, 0x06
    program = [instruction(load, 0)]
    refused = [UNSHARE, SETNS, MOUNT, UMOUNT, PIVOT_ROOT, OPEN_TREE, MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, FSPICK, MOUNT_SETATTR]
    for number in refused:
        program += [instruction(equal, number, 0, 1), instruction(answer, ERRNO | 1)]
    program += [instruction(equal, CLONE3, 0, 1), instruction(answer, ERRNO | 38)]
    program += [
        instruction(equal, CLONE, 0, 3),
        instruction(load, 16),
        instruction(any_bit, NEW_NAMESPACES, 0, 1),
        instruction(answer, ERRNO | 1),
        instruction(answer, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(program))
    fprog = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
    call("prctl", 38, 1, 0, 0, 0)
    call("prctl", 22, 2, ctypes.c_char_p(fprog), 0, 0)


def without_user_namespaces():
    uid, gid = os.getuid(), os.getgid()
    call("unshare", 0x10000000)
    for path, text in [("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")]:
        with open(f"/proc/self/{path}", "w") as file:
            file.write(text)
    with open("/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")


kind, program = sys.argv[1], sys.argv[2:]
if kind == "container":
    keep_capabilities(DOCKER_CAPABILITIES)
    refuse_calls()
elif kind == "no-userns":
    without_user_namespaces()
elif kind == "few-rights":
    without_user_namespaces()
    keep_capabilities({SETPCAP, SYS_ADMIN})
elif kind == "nobody":
    without_user_namespaces()
    keep_capabilities(set())
else:
    sys.exit(f"no host of the kind {kind}")
os.execv(program[0], program)
