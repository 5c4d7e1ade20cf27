"""Keep Vertex AI from expanding `$(NAME)` in an author's texts: the variable may be a secret.

Vertex AI documents the expansion for variables of a container, in Kubernetes' words: by earlier
variables, with `$$` as the escape. For command and arguments its documentation is silent. So no
text here may depend on whether Vertex AI expands it. JSON is written without a dollar sign. A plain
text cannot be escaped for both cases: an author's reference to a secret is refused.

The operator's own references in a queue's configuration stay.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from shared.core.errors import Reject
from shared.core.redaction import is_secret
from shared.core.shorten import shown

_REFERENCE = re.compile(r"\$\(([^()]*)\)")
_PROBLEM = "contains {}, which Vertex AI can replace by the secret"
_FIX = "Let the program read the variable itself."


def inert_json(value: Any) -> str:
    """Return JSON that neither Vertex AI nor quotes of a shell change."""
    return json.dumps(value).replace("$", r"\u0024").replace("'", r"\u0027")


def check_references(texts: Iterable[str], field: str) -> None:
    """Refuse a reference to a secret in an author's command or arguments."""
    for number, text in enumerate(texts):
        for reference in _secret_references(text):
            raise Reject(f"{field}[{number}]", _PROBLEM.format(reference), _FIX)


def check_filled(field: str, before: str, after: str) -> None:
    """Refuse a reference to a secret that values filled into an operator's text have made."""
    known = set(_secret_references(before))
    for reference in _secret_references(after):
        if reference not in known:
            raise Reject(field, _PROBLEM.format(reference), "Use another value.")


def _secret_references(text: str) -> Iterator[str]:
    for match in _REFERENCE.finditer(text):
        if is_secret(match[1]):
            yield shown(match[0])
