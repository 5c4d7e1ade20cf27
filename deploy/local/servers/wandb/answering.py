"""JSON as W&B sends it: with NaN, half of a surrogate pair, and items that are not JSON."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def json_response(
    content: Any, status: int = 200, raw: Mapping[str, str] | None = None
) -> Response:
    """Return a JSON response; `raw` maps strings to the bytes that replace them."""
    text = json.dumps(content)
    for marker, written in (raw or {}).items():
        text = text.replace(json.dumps(marker), written, 1)
    return Response(text.encode("utf-8", "surrogateescape"), status, media_type="application/json")
