"""Import the function that this container serves, and no other.

The buildpack requires one main.py at the root of the source. The platform sets FUNCTION_TARGET from
`gcloud functions deploy NAME --entry-point poll|submit|status`, so each function imports only its
own modules.
"""

import gc
import importlib
import os

FUNCTIONS = ("poll", "submit", "status")

_target = os.environ.get("FUNCTION_TARGET", "")
if _target not in FUNCTIONS:
    raise SystemExit(f"FUNCTION_TARGET is {_target!r}: set it to one of {', '.join(FUNCTIONS)}")
# Imports make hundreds of thousands of objects that stay. Looking for garbage among them takes a
# fifth of the time until submit answers first.
gc.disable()
globals()[_target] = getattr(importlib.import_module(f"functions.{_target}.handler"), _target)
gc.freeze()
gc.enable()
