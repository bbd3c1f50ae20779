"""The end of a process that serves."""

import subprocess
import sys
from typing import Final

LEAVING: Final = """
import threading
from consentryd.config.settings import Server
from consentryd.gateway.exposition import Worker
from consentryd.gateway.logs import open_logger
from consentryd.gateway.worker import _leave_in

_leave_in(0.0, Worker(), open_logger(Server(log_format="json")))
threading.Event().wait(20)
raise SystemExit(1)
"""


def test_who_leaves_in_the_middle_of_work_says_so():
    left = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True, timeout=60, check=False)
    assert left.returncode == 0
    assert '"event":"stopped in the middle of work beside the requests; the next start goes on with it"' in left.stderr
