"""Makes SCRAM-SHA-512 users: `add_users.py BOOTSTRAP`, with a line `user password` for each on stdin."""

import sys
import time

from confluent_kafka.admin import (AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion)

users = [line.split() for line in sys.stdin]
client = AdminClient({"bootstrap.servers": sys.argv[1]})
how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
for future in client.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(user, how, password.encode()) for user, password in users]).values():
    future.result(20)
for user, _ in users:  # the controller has them; wait until the broker knows them too
    for attempt in range(200):
        try:
            found = client.describe_user_scram_credentials([user])[user].result(20)
            assert [c.mechanism for c in found.scram_credential_infos] == [ScramMechanism.SCRAM_SHA_512]
            break
        except Exception:
            if attempt == 199:
                raise
            time.sleep(0.05)
