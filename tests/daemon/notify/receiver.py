"""A receiver of webhooks that asks the reference library: the port, then one line of JSON for each request."""

import http.server
import json
import sys
import threading

from standardwebhooks import Webhook, WebhookVerificationError

NEW, OLD, OTHER = (Webhook(secret) for secret in sys.argv[1:4])
LOCK = threading.Lock()


def verifies(webhook, body, headers):
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {
            "path": self.path,
            "id": headers.get("webhook-id"),
            "verified": verifies(NEW, body, headers) and verifies(OLD, body, headers),
            "forged": verifies(NEW, body + b" ", headers) or verifies(OTHER, body, headers),
            "document": json.loads(body),
        }
        with LOCK:
            print(json.dumps(told), flush=True)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        """A daemon that is killed takes its connections with it."""


SERVER = Server(("127.0.0.1", 0), Receiver)
print(SERVER.server_port, flush=True)
SERVER.serve_forever()
