"""Gives moto and aws-ses-v2-local the calls that our simulators get, and prints where they answer otherwise.

Every difference must be in differences.md, with who is right and why; one that is not there fails the run, and so does a line
there that is no longer so. A call that a stand-in does not know is counted and no difference.

    compare.py BINARY SES_V2_LOCAL       starts `BINARY simulator`, and the command that is aws-ses-v2-local
"""

import os
import pathlib
import re
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "boto"))
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1")

from botocore.exceptions import ClientError  # noqa: E402  (found through the path above)
from moto import mock_aws  # noqa: E402

from calls import calls  # noqa: E402
from simulator import Recorder, Simulator  # noqa: E402

STARTS_WITHIN = 30  # seconds
UNKNOWN = "not known"


def answer_of(client, method, arguments):
    """What a call answers, in short: the members of the answer, or code and status of the error."""
    try:
        answer = getattr(client, method)(**arguments)
    except ClientError as refusal:
        answer = refusal.response
        if "UnknownOperation" in str(refusal):
            return UNKNOWN, {}
        return f"{answer['Error']['Code']} {answer['ResponseMetadata']['HTTPStatusCode']}", {}
    except NotImplementedError:
        return UNKNOWN, {}
    except Exception as failure:  # moto runs in this process, and what it raises is what it answers
        return f"fails with {type(failure).__name__}", {}
    return "answers " + (" ".join(sorted(name for name in answer if name != "ResponseMetadata")) or "nothing"), answer


def run(url, services):
    """The answers to all calls, by their labels."""
    recorder, state, found = Recorder(), {}, {}
    clients = {service: recorder.client(service, url, read_timeout=5) for service in services}
    for label, service, method, arguments, keep in calls():
        if service not in clients:
            continue
        try:
            given = arguments(state)
        except KeyError:  # the call before it is not known
            found[label] = UNKNOWN
            continue
        found[label], answer = answer_of(clients[service], method, given)
        if keep and answer:
            keep(state, answer)
    return found


def local(command):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("aws-ses-v2-local did not start")
            time.sleep(0.1)
        return run(f"http://127.0.0.1:{port}", ["sesv2"])
    finally:
        process.terminate()
        process.wait(10)


def main(binary, command):
    with Simulator(binary) as simulator:
        ours = run(simulator.url, ["sesv2", "sns", "sqs", "sts"])
    with mock_aws():
        theirs = {"moto": run(None, ["sesv2", "sns", "sqs", "sts"])}
    theirs["aws-ses-v2-local"] = local(command)
    listed = set(re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|", (HERE / "differences.md").read_text(), re.MULTILINE))
    differ, known = set(), 0
    for name, answers in theirs.items():
        for label, answer in answers.items():
            if answer == UNKNOWN:
                continue
            known += 1
            if answer != ours[label]:
                differ.add((name, label, ours[label], answer))
    for row in sorted(differ):
        print("| " + " | ".join(row) + " |" + ("" if row in listed else "  NOT LISTED"))
    gone = {row for row in listed if row[0] in theirs} - differ
    for row in sorted(gone):
        print("no longer so: | " + " | ".join(row) + " |", file=sys.stderr)
    print(f"stand-ins: {known} calls known to others, {len(differ)} answered otherwise, {len(differ - listed)} not listed, {len(gone)} in vain")
    return 1 if differ - listed or gone else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
