"""Import the function that this container serves, and no other.

The buildpack requires one main.py at the root of the source. The platform sets FUNCTION_TARGET from
`gcloud functions deploy NAME --entry-point poll|submit|status`, so each function imports only its
own modules.
"""

import importlib
import os

FUNCTIONS = ("poll", "submit", "status")

_target = os.environ.get("FUNCTION_TARGET", "")
if _target not in FUNCTIONS:
    raise SystemExit(f"FUNCTION_TARGET is {_target!r}: set it to one of {', '.join(FUNCTIONS)}")
globals()[_target] = getattr(importlib.import_module(f"functions.{_target}.handler"), _target)
