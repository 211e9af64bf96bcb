# SPDX-License-Identifier: GPL-2.0-only
"""Four threads count primes and hand their shares to a fifth; the sum goes to a file."""
import os
import queue
import sys
import threading

LIMIT, STEP = 600000, 1000
todo, done = queue.Queue(), queue.Queue()
lock = threading.Lock()
parts = 0


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n ** 0.5) + 1))


def count():
    global parts  # pylint: disable=global-statement
    while (first := todo.get()) is not None:
        done.put(sum(is_prime(n) for n in range(first, first + STEP)))
        with lock:
            parts += 1
            with open(sys.argv[1] + '.new', 'w', encoding='ascii') as out:
                out.write(f'{parts} of {LIMIT // STEP}\n')
            os.replace(sys.argv[1] + '.new', sys.argv[1] + '.progress')  # whoever reads finds a number


workers = [threading.Thread(target=count) for _ in range(4)]
for start in range(0, LIMIT, STEP):
    todo.put(start)
for worker in workers:
    todo.put(None)
    worker.start()
total = sum(done.get() for _ in range(LIMIT // STEP))
for worker in workers:
    worker.join()
with open(sys.argv[1], 'w', encoding='ascii') as result:
    result.write(f'{total} primes below {LIMIT}\n')
