"""The vendor's own Python SDK at the benchmark's work: the same four calls a change, in threads.

Called with a task as JSON (endpoint, project, token, targets, in_flight: the threads, seconds, dir); prints one line of JSON. Every
thread has a client of its own. The SDK knows no tokens: it signs every request, as it does for its users.
"""

import csv
import json
import os
import resource
import sys
import threading
import time

TASK = json.loads(sys.argv[1])
# The SDK writes an id of its own below HOME when it is imported, and takes proxies from the environment.
os.environ.update(HOME=TASK["dir"], NO_PROXY="127.0.0.1")

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkgaussdb.v3 import (
    GaussDBClient,
    ShowGaussMySqlJobInfoRequest,
    ShowGaussMySqlProxyListRequest,
    SwitchGaussMySqlProxySslRequest,
    SwitchProxySSLRequest,
)


class BasicCredentialsWithToken(BasicCredentials):
    """Signs as ever, and then puts the token that lets the request in where the signature was: the servers know no keys."""

    def sign_request(self, request):
        signed = BasicCredentials.sign_request(self, request)
        del signed.header_params["Authorization"]
        signed.header_params["X-Auth-Token"] = TASK["token"]
        return signed


# The SDK's builder looks at the class's name.
BasicCredentialsWithToken.__name__ = "BasicCredentials"


def client():
    credentials = BasicCredentialsWithToken("AKBENCH0000000000000", "a-secret-key-of-forty-characters-exactly", TASK["project"])
    return GaussDBClient.new_builder().with_credentials(credentials).with_endpoint(TASK["endpoint"]).build()


def look(sdk, instance_id):
    sdk.show_gauss_my_sql_proxy_list(ShowGaussMySqlProxyListRequest(instance_id=instance_id, offset=0, limit=100))


def change(sdk, instance_id, proxy_id):
    look(sdk, instance_id)
    body = SwitchProxySSLRequest(ssl_option=True)
    job_id = sdk.switch_gauss_my_sql_proxy_ssl(
        SwitchGaussMySqlProxySslRequest(instance_id=instance_id, proxy_id=proxy_id, body=body)
    ).job_id
    while sdk.show_gauss_my_sql_job_info(ShowGaussMySqlJobInfoRequest(id=job_id)).job.status != "Completed":
        time.sleep(0.001)
    look(sdk, instance_id)


def main():
    with open(TASK["targets"], newline="") as file:
        targets = iter([(row["instance_id"], row["proxy_id"]) for row in csv.DictReader(file)])
    lock, took, failures = threading.Lock(), [], []
    clients = [client() for _ in range(TASK["in_flight"])]
    cpu, begun = time.process_time(), time.monotonic()

    def work(sdk):
        try:
            while time.monotonic() - begun < TASK["seconds"]:
                with lock:
                    target = next(targets, None)
                if target is None:
                    return
                start = time.monotonic()
                change(sdk, *target)
                took.append(time.monotonic() - start)
        except Exception as error:  # told below, in the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(sdk,)) for sdk in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} threads failed, the first with {failures[0]!r}")
    seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    took.sort()

    def share(part):
        return round(took[int((len(took) - 1) * part)] * 1e6)

    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    told = {"changes": len(took), "seconds": seconds, "cpu_seconds": cpu, "p50_us": share(0.5), "p99_us": share(0.99)}
    print(json.dumps({**told, "syncs": None, "memory_peak_mib": memory}))


main()
