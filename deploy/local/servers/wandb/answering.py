"""JSON as W&B's clients and people write it: NaN, half of a surrogate pair, and items that are no JSON at all."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response


def json_response(
    content: Any, status: int = 200, raw: Mapping[str, str] | None = None
) -> Response:
    """Answer with JSON. `raw` holds texts that stand in the place of a string, byte for byte."""
    text = json.dumps(content)
    for marker, written in (raw or {}).items():
        text = text.replace(json.dumps(marker), written, 1)
    return Response(text.encode("utf-8", "surrogateescape"), status, media_type="application/json")
