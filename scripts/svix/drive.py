# Sends through the server with the published package, and receives what it sends: run by run.ts.
import json
import os
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

from svix.api import ApplicationIn, EndpointIn, EventTypeIn, MessageGetOptions, MessageIn, Svix, SvixOptions
from svix.exceptions import HttpError
from svix.webhooks import Webhook

svix = Svix(os.environ["SVIX_TOKEN"], SvixOptions(server_url=os.environ["SVIX_SERVER_URL"]))
requests = queue.Queue()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        requests.put(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


receiver = HTTPServer(("127.0.0.1", 0), Receiver)
threading.Thread(target=receiver.serve_forever, daemon=True).start()

uid = f"python-{time.time_ns()}"
app = svix.application.get_or_create(ApplicationIn(name="Python", uid=uid))
try:
    svix.event_type.create(EventTypeIn(name="user.signup", description="A user has signed up"))
except HttpError as error:
    assert error.status_code == 409, error
endpoint = svix.endpoint.create(
    uid,
    EndpointIn(
        url=f"http://127.0.0.1:{receiver.server_port}/hook",
        uid="hook",
        channels=["one"],
        event_types=["user.signup"],
    ),
)
assert endpoint.event_types == ["user.signup"], endpoint
key = svix.endpoint.get_secret(uid, "hook").key

payload = {"user": "Jürgen", "list": []}
message = svix.message.create(
    uid,
    MessageIn(event_type="user.signup", event_id="first", channels=["one"], payload=payload),
)


def received():
    headers, body = requests.get(timeout=60)
    Webhook(key).verify(body, headers)
    assert json.loads(body) == payload, body
    assert headers["svix-id"] == headers["webhook-id"] == message.id, headers


received()
while not (attempts := svix.message_attempt.list_by_msg(uid, message.id).data):
    time.sleep(0.1)
assert attempts[0].status == 0, attempts
with_content = MessageGetOptions(with_content=True)
assert svix.message.get(uid, "first", with_content).payload == payload
svix.message_attempt.resend(uid, message.id, endpoint.id)
received()
svix.application.delete(uid)
try:
    svix.application.get(uid)
    raise AssertionError("it is still there")
except HttpError as error:
    assert error.status_code == 404, error
