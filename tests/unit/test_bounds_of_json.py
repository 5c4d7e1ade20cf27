"""The size of a JSON text is refused before it is parsed, with the size and the limit."""

import pytest

from shared.core.bounded_json import parsed, parsed_bytes, too_large


@pytest.mark.parametrize("size", [1000, 1001])
def test_the_refusal_tells_the_size_and_the_limit(size: int) -> None:
    """At the limit, a text is read."""
    text = f'"{"x" * (size - 2)}"'
    flaw = "" if size == 1000 else too_large("policy", 1001, 1000)
    assert parsed(text, (), "policy", 1000)[1] == flaw
    assert parsed_bytes(text.encode(), (), "policy", 1000)[1] == flaw
    assert "has 1,001 bytes; the limit is 1,000" in too_large("policy", 1001, 1000)
    assert "is larger than 1,000 bytes" in too_large("policy", 0, 1000)
