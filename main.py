"""Pick the function that this container serves; import no other.

The buildpack wants one main.py at the source's root. Its target comes from `gcloud functions deploy NAME --entry-point
poll|submit|status`, which the platform hands on as FUNCTION_TARGET, so each function pays for its own imports only.
"""

import importlib
import os

FUNCTIONS = ("poll", "submit", "status")

_target = os.environ.get("FUNCTION_TARGET", "")
if _target not in FUNCTIONS:
    raise SystemExit(f"FUNCTION_TARGET is {_target!r}: set it to one of {', '.join(FUNCTIONS)}")
globals()[_target] = getattr(importlib.import_module(f"functions.{_target}.handler"), _target)
