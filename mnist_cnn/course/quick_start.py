"""Import this before nbformat, which then loads in a fifth of the time.

Its jsonschema reads a grammar of international web addresses as it loads (rfc3987-syntax), for two
to three seconds. No schema of a notebook asks for it: jsonschema is told that it is not installed.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
