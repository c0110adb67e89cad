"""A client on librdkafka (confluent-kafka) that logs in and asks for metadata for some seconds. Arguments: its settings as JSON, in which
"token" is an OAuth token; seconds. Prints how often it was answered."""

import json
import sys
import time

from confluent_kafka.admin import AdminClient

settings = json.loads(sys.argv[1])
token = settings.pop("token", None)
if token is not None:
    settings["oauth_cb"] = lambda _: (token, time.time() + 600)
client = AdminClient(settings)
end, answered = time.time() + float(sys.argv[2]), 0
while answered == 0 or time.time() < end:
    client.poll(0.05)
    client.list_topics(timeout=10)
    answered += 1
print(answered)
