"""From the UTF-8 of Arrow's buffers to the encoding that was asked for."""

from typing import Any

_BOMS = {"utf-8-sig": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}
_CODECS = {"utf-16": "utf-16-le"}
_SAME = frozenset({"utf-8", "utf-8-sig"})


class Encoder:
    """Transcodes blocks of whole characters. `replaced` counts characters written as `?`."""

    def __init__(self, encoding: str, errors: str) -> None:
        self.bom = _BOMS.get(encoding, b"")
        self.wide = encoding == "utf-16"
        self.replaced = 0
        self._codec = None if encoding in _SAME else _CODECS.get(encoding, encoding)
        self._errors = errors

    def encode(self, data: memoryview) -> Any:
        """Give bytes. Raises UnicodeEncodeError where the errors are `strict`."""
        if self._codec is None:
            return data
        text = str(data, "utf-8")
        encoded = text.encode(self._codec, self._errors)
        if self._errors == "replace" and not self.wide:
            self.replaced += encoded.count(b"?") - text.count("?")
        return encoded
