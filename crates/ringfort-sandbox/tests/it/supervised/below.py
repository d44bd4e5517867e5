# SPDX-License-Identifier: MIT OR Apache-2.0
# Runs the rest of its words below a filter that has a listener, as some container engines do: no other may have one.
import ctypes
import os
import platform
import struct
import sys

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_NO_NEW_PRIVS, SET_MODE_FILTER, NEW_LISTENER, RET_ALLOW = 38, 1, 8, 0x7FFF0000
SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]
program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, RET_ALLOW))


class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
listener = libc.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(Filter(1, ctypes.addressof(program))))
assert listener >= 0, os.strerror(ctypes.get_errno())
os.set_inheritable(listener, True)
os.execv(sys.argv[1], sys.argv[1:])
