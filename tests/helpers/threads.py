"""Threads that get into each other's way as often as they can, for the tests of what threads share."""

import sys
import threading


def in_threads(work, arguments):
    """Run work(x) for every x of `arguments`, each in a thread of its own, with a switch every microsecond."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(x,)) for x in arguments]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
