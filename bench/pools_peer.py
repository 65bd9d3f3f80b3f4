"""pools_peer.py submit|map COUNT: bench/pools.cc in Python, with ProcessPoolExecutor. Prints as that does."""
import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def same(number):
    return number


def main():
    what, count = sys.argv[1], int(sys.argv[2])
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(same, range(1000), chunksize=10))  # its workers are up
        start = time.perf_counter()
        if what == "submit":
            futures = [pool.submit(same, i) for i in range(count)]
            results = [future.result() for future in futures]
        else:
            results = list(pool.map(same, range(count), chunksize=1000))
        seconds = time.perf_counter() - start
    assert results == list(range(count))
    print(json.dumps({"what": what, "count": count, "seconds": seconds, "per_second": count / seconds}))


main()
