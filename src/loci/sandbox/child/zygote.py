"""The zygote of an environment: it has loaded what every call needs, and forks a warden for each.

It reads one byte and a socket for each call from its control socket, which is its standard input, and for some a second
one, from which the program reads a document. It ends when the other side is closed. It runs nothing itself, so that
nothing of one call is left for the next.
"""

import gc
import os
import signal
import socket
import sys

from loci.sandbox.child import kernel, warden


def main() -> None:
    """Serve calls until the server is gone."""
    kernel.die_with_parent()
    control = socket.socket(fileno=0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.nice(int(sys.argv[2]))
    gc.collect()
    gc.freeze()
    control.sendall(b"R")
    while True:
        message, handles, _, _ = socket.recv_fds(control, 1, 2)
        if not message:
            return
        if os.fork() == 0:
            _carry_out(control, *handles)
        for handle in handles:
            os.close(handle)


def _carry_out(control: socket.socket, handle: int, document: int = -1) -> None:
    try:
        kernel.die_with_parent()
        control.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with socket.socket(fileno=handle) as connection:
            warden.guard(connection, document)
    finally:
        os._exit(0)
