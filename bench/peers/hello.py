"""A bare Flask application on waitress, with as many threads as `exporter serve` has: what a request costs at least."""

from flask import Flask
from waitress.server import create_server


def main() -> None:
    app = Flask("hello")
    app.add_url_rule("/", view_func=lambda: {"hello": "world"}, methods=["GET", "POST"])
    server = create_server(app, host="127.0.0.1", port=0, threads=8)
    print(f"Hello serves http://127.0.0.1:{server.effective_port}/", flush=True)
    server.run()


if __name__ == "__main__":
    main()
