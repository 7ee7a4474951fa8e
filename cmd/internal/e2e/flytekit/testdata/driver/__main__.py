"""Does with FlyteRemote what the suite asks for.

Reads one JSON request a line: {"id", "op", "args"}; answers each with a line
{"id", "result"} or {"id", "error", "type"}, in any order. It decides nothing:
what is right is for the suite to say.
"""

import contextvars
import json
import os
import sys
import threading
import traceback

sys.path.insert(0, os.environ["SUITE_PROJECT"])

import entities  # noqa: E402
import launches  # noqa: E402
import stored  # noqa: E402

OPERATIONS = {
    name.removeprefix("op_"): f
    for module in (launches, stored, entities)
    for name, f in vars(module).items()
    if name.startswith("op_")
}


def answer(write, request):
    """Does one request."""
    reply = {"id": request["id"]}
    try:
        reply["result"] = OPERATIONS[request["op"]](launches.remote(), **request.get("args") or {})
    except BaseException as e:  # noqa: BLE001 - the suite is told
        reply["type"], reply["error"] = type(e).__name__, f"{e}"
        traceback.print_exc()
    write(json.dumps(reply) + "\n")


def main():
    """Serves until the input ends."""
    lock, out = threading.Lock(), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer

    def write(line):
        with lock:
            out.write(line)
            out.flush()

    for line in sys.stdin:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(answer, write, json.loads(line)), daemon=True).start()


main()
