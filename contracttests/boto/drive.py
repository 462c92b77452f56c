"""boto3 drives the simulators of SES, SNS, SQS and STS: every operation that they offer, every error that they give.

The simulators were written beside the Go SDK. boto3 reads the same services from AWS's models: a wrong path, a wrong member, a
time in a wrong form or an error that is not the typed one shows here. Then judge.py holds every recorded answer and error
against those models, and mutations.py proves that it would notice a change of any of them.

    drive.py BINARY        starts `BINARY simulator` and ends it
"""

import sys

import checks_common
import checks_ses
import checks_topics
from judge import failed, judge
from mutations import unnoticed
from simulator import Recorder, Simulator, World

HEALTHY = {
    "max24Hour": -1, "maxPerSecond": 100000, "sendingEnabled": True, "enforcementStatus": "HEALTHY", "productionAccess": True,
    "maxIdentities": 10000, "maxConfigurationSets": 10000,
}
SHOWN = 20  # lines of one kind
# Operations of which every call succeeds, so that only the errors of all operations occur.
NEVER_REFUSED = {"GetCallerIdentity", "GetAccount"}


def run(world):
    """Runs every check and returns how many there are, and how many passed."""
    passed = 0
    ses = [(one, (world.sesv2, world)) for one in checks_ses.checks]
    others = [(one, (world,)) for one in checks_topics.checks + checks_common.checks]
    for one, arguments in ses + others:
        world.simulator.control("PUT", "account", HEALTHY)
        world.simulator.control("DELETE", "faults")
        try:
            one(*arguments)
            passed += 1
        except Exception as failure:  # every check is run, whatever became of the others
            print(f"{one.__name__}: {type(failure).__name__}: {failure}", file=sys.stderr)
    return len(ses + others), passed


def uncovered(world, records):
    """Operations that the simulators offer without an answer, or without an error of their own, in the records."""
    answered = {operation.name for operation, status, *_ in records if not failed(status)}
    refused = {operation.name for operation, status, *_ in records if failed(status) and status not in (403, 429, 503)}
    offered = {operation.name for _, operation in world.operations()}
    return sorted(offered - answered) + sorted(offered - refused - NEVER_REFUSED)


def distinct(records):
    """The first record of every operation, status and size of body: changing more of the same proves nothing."""
    kept = {}
    for record in records:
        operation, status, _, body = record
        kept.setdefault((operation.name, status, body if failed(status) else len(body) // 64), record)
    return kept.values()


def show(lines):
    for line in lines[:SHOWN]:
        print(line, file=sys.stderr)
    if len(lines) > SHOWN:
        print(f"and {len(lines) - SHOWN} more", file=sys.stderr)


def main(binary):
    recorder = Recorder()
    with Simulator(binary) as simulator:
        world = World(simulator, recorder)
        total, passed = run(world)
        left = uncovered(world, recorder.records)
    differences = {}
    for operation, *response in recorder.records:
        for difference in judge(operation, *response):
            differences.setdefault(f"{operation.name} {response[0]}: {difference}", response[2])
    if left:
        print(f"offered and not driven: {', '.join(left)}", file=sys.stderr)
    changes, missed = unnoticed(distinct(recorder.records))
    show([f"{difference}\n    {body[:300]!r}" for difference, body in differences.items()])
    show([f"not noticed: {one}" for one in missed])
    errors = sum(failed(status) for _, status, *_ in recorder.records)
    operations = {(operation.service_model.service_name, operation.name) for operation, *_ in recorder.records}
    print(f"boto3: {passed}/{total} passed")
    print(f"mutations: {changes - len(missed)} of {changes} noticed")
    print(
        f"shapes: {len(recorder.records) - errors} answers and {errors} errors of {len(operations)} operations "
        f"held against AWS's own models, {len(differences)} differ"
    )
    return 1 if passed < total or left or differences or missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
