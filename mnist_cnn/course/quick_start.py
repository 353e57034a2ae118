"""Import this first: what makes the test run, the command and the site begin sooner.

jsonschema reads a grammar of international web addresses as it loads (rfc3987-syntax), for two to
three seconds, and nbformat loads it. No schema of a notebook asks for it: jsonschema is told that
it is not installed.

pytest's parallel processes share the processors: each computes on its part of them. With two
threads each, two trainings on two cores took a fifth longer.
"""

import os
import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
if workers > 1:
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", threads)
    os.environ.setdefault("OMP_NUM_THREADS", threads)
