# SPDX-License-Identifier: GPL-2.0-only
"""A task with descriptors that lie outside: at every SIGUSR1 it uses them, in the order of its
arguments. w:N writes a numbered line to N; r:N:M reads from N what there is, and writes it to M
in capitals; m:N:M writes the first line of N, which is mapped from the beginning on, to M."""
import mmap
import os
import signal
import sys

MAPS = {arg: mmap.mmap(int(arg.split(':')[1]), 4096, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED)
        for arg in sys.argv[1:] if arg[0] == 'm'}


def use(arg, turn):
    kind, fd, *others = arg.split(':')
    if kind == 'w':
        os.write(int(fd), b'%s line %d\n' % (fd.encode(), turn))
    elif kind == 'r':
        os.write(int(others[0]), os.read(int(fd), 4096).upper())
    elif kind == 'm':
        os.write(int(others[0]), MAPS[arg].readline())
        MAPS[arg].seek(0)


if os.environ.get('CHILD') and not os.fork():
    # It has what its parent has.
    sys.argv[1:] = [os.environ['CHILD']]
    if os.environ.get('FOREGROUND'):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        os.setpgid(0, 0)
        os.tcsetpgrp(int(os.environ['FOREGROUND']), os.getpid())

TURN = 1
while True:
    signal.sigwait({signal.SIGUSR1})
    for word in sys.argv[1:]:
        use(word, TURN)
    TURN += 1
