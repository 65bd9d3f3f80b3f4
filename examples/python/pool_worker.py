# A worker of a cohort::Pool in Python: a line of JSON is a task, a line of JSON is its answer (docs/parallel.md).
# What the tasks print would be taken for an answer, so it goes to stderr.
import json
import sys

answers, sys.stdout = sys.stdout, sys.stderr


def say(message):
    print(json.dumps(message), file=answers, flush=True)  # else the line waits in a buffer


def count_words(text):
    return len(text.split())


def divide(a, b):
    return a / b


def slowly(steps):
    for step in range(1, steps + 1):
        say({"id": task["id"], "progress": step})
    return steps


methods = {"count_words": count_words, "divide": divide, "slowly": slowly}

for line in sys.stdin:  # ends when the pool closes it
    task = json.loads(line)
    try:
        say({"id": task["id"], "result": methods[task["method"]](*task["params"])})
    except Exception as error:
        say({"id": task["id"], "error": {"message": f"{type(error).__name__}: {error}"}})
