"""A very small web application, for agents to work on."""

from wsgiref.simple_server import make_server


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello from the demo.\n"]


if __name__ == "__main__":
    make_server("127.0.0.1", 8080, app).serve_forever()
