"""Shorten texts from outside in the middle: the end of a value often shows the mistake."""

_GAP = " … "


def shortened(text: str, most: int) -> str:
    """Return a text in at most this many bytes of UTF-8, cut in the middle.

    Half of a surrogate pair, which JSON cannot contain, becomes a question mark.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return data.decode()
    head = (most - len(_GAP.encode())) // 2
    tail = most - len(_GAP.encode()) - head
    return data[:head].decode("utf-8", "ignore") + _GAP + data[-tail:].decode("utf-8", "ignore")


def shown(text: str, most: int = 80) -> str:
    """Return a text in at most this many characters and an ellipsis, cut in the middle."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def quoted(value: object, most: int = 80) -> str:
    """Return a value in quotes for a refusal, cut in the middle."""
    return repr(shown(value if isinstance(value, str) else str(value), most))
