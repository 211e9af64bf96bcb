# SPDX-License-Identifier: GPL-2.0-only
"""Checkpoints of a real process tree (./target), by any program with CRIU's command line."""
import os
import subprocess
import tempfile
import time

import imagelib

TARGET = os.path.join(imagelib.TOP, 'selftests', 'image', 'target')
CRIU = os.environ.get('CRIU', os.path.join(imagelib.TOP, 'selftests', 'peers', 'criu'))


def start(work, features):
    """A process group to dump, in a session of its own, with nothing of ours open: its pid."""
    ready, pid_file, log = (os.path.join(work, name) for name in ('ready', 'pid', 'log'))
    with open(log, 'wb') as out:
        subprocess.run(['setsid', '--fork', TARGET, ready, pid_file, *features], check=True,
                       stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd='/')
    for _ in range(2000):
        if os.path.exists(ready):
            return int(imagelib.read(pid_file))
        time.sleep(0.01)
    raise RuntimeError('the target did not start: ' + imagelib.read(log).decode(errors='replace'))


def end(pid):
    try:
        os.killpg(pid, 9)
    except ProcessLookupError:
        pass


def dump(command, images, features):
    """Why it went wrong, None when @images is a checkpoint now."""
    os.mkdir(images)
    with tempfile.TemporaryDirectory() as work:
        pid = start(work, features)
        done = subprocess.run([command, 'dump', '-t', str(pid), '-D', images, '-o', 'dump.log'],
                              capture_output=True, check=False, timeout=60)
        end(pid)
    if not done.returncode:
        return None
    log = os.path.join(images, 'dump.log')
    tail = imagelib.read(log)[-1000:].decode(errors='replace') if os.path.exists(log) else ''
    if done.returncode == 77:
        return 'no criu: ' + done.stderr.decode()[-200:].strip()
    return f'status {done.returncode}: {done.stderr.decode()[-500:]}\n{tail}'
