"""Tests that run side by side each have a home, and with it a clock, of their own."""

import os
import tempfile

if "PYTEST_XDIST_WORKER" in os.environ:  # else a process would take over the home of the one that started it
    os.environ["SHOUWANG_HOME"] = tempfile.mkdtemp(prefix="shouwang-tests-")
