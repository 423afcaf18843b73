"""The HTTP server's reading of requests, stricter than waitress's own where a proxy might read them otherwise."""

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """Refuses what RFC 9112 says a server must, or may, refuse, and which waitress reads in its own way."""

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("Content-Length beside Transfer-Encoding")
        hosts = self.headers.get("HOST", "").count(",") + ("HOST" in self.headers)
        if hosts > 1 or (hosts == 0 and self.version == "1.1"):
            raise ParsingError("There must be one Host")


class StrictChannel(HTTPChannel):  # type: ignore[misc]
    parser_class = StrictParser
