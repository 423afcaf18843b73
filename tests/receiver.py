"""A program that webhooks are sent to: a real HTTP server that answers as it is told, and keeps what it got."""

import base64
import hashlib
import hmac
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook

DEADLINE_SECONDS = 60


class Receiver:
    def __init__(self):
        self.got = []  # pairs of headers and body
        self.answers = []  # statuses, or functions that answer by the handler; then 204
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self._came = threading.Condition()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}/hook?key=abc"

    def wait(self, count):
        with self._came:
            met = self._came.wait_for(lambda: len(self.got) >= count, DEADLINE_SECONDS)
        assert met, f"{len(self.got)} requests came"
        return self.got

    def verified(self, secret, number=-1):
        """Give a request's body, verified by the reference library of Standard Webhooks."""
        headers, body = self.got[number]
        return Webhook(secret).verify(body, headers)

    def verified_at(self, secret, moment):
        """Do so by hand, for a clock that the library does not know of."""
        headers, body = self.got[-1]
        stamp = headers["webhook-timestamp"]
        assert int(stamp) == int(moment.timestamp())
        signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
        key = base64.b64decode(secret.removeprefix("whsec_"))
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{right}"
        return json.loads(body)

    def _handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver._came:
                    receiver.got.append((dict(self.headers), body))
                    answer = receiver.answers.pop(0) if receiver.answers else 204
                    receiver._came.notify_all()
                if callable(answer):
                    answer(self)
                else:
                    self.send_response(answer)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *_):
                pass

        return Handler


@contextmanager
def receiving():
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        thread.join()
        receiver.server.server_close()


def bodies(receiver):
    return [json.loads(body) for _, body in receiver.got]
