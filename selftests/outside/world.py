# SPDX-License-Identifier: GPL-2.0-only
"""Two tools and a task (worker.py) whose descriptors are others' as well; used by ./run."""
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PATIENCE = 30
PR_SET_CHILD_SUBREAPER = 36
TOOLS = {'stasis': os.path.realpath(os.environ.get('STASIS', TOP + '/build/stasis')),
         'criu': os.environ.get('CRIU', TOP + '/selftests/peers/criu')}


class Skip(Exception):
    """Not for this pair of tools."""


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def equal(what, is_, want):
    check(is_ == want, f'{what}: {repr(is_)[:200]}, not {repr(want)[:200]}')


def become_subreaper():
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap_all():
    """Those that were restored, or have lost their parents, have fallen to us."""
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        pass


def await_signal_wait(pid):
    """Until it sleeps in rt_sigtimedwait(2), with everything behind it that comes before."""
    for _ in range(PATIENCE * 100):
        with open(f'/proc/{pid}/syscall', encoding='ascii') as f:
            if f.read().startswith('128 '):
                return
        time.sleep(0.01)
    raise AssertionError('the worker did not start')


class World:
    """The two tools, a folder, and at most one task."""

    def __init__(self, dumper, restorer, tmp):
        self.dumper, self.restorer, self.tmp = dumper, restorer, tmp
        self.images = tmp + '/images'
        self.pid, self.restored, self.output = 0, False, ''
        os.mkdir(self.images)

    def path(self, name, contents=b''):
        path = f'{self.tmp}/{name}'
        with open(path, 'wb') as f:
            f.write(contents)
        return path

    def start(self, fds, *words, child='', terminal=None):
        """A task with these descriptors and no others; 0, 1 and 2 are /dev/null unless named.
        @terminal: the number of the one that controls its session; @child is in the foreground."""
        self.pid = os.fork()
        if self.pid:
            await_signal_wait(self.pid)
            return
        try:
            null = os.open('/dev/null', os.O_RDWR)
            fds = {0: null, 1: null, 2: null, **fds}
            high = {n: fcntl.fcntl(fd, fcntl.F_DUPFD, 500) for n, fd in fds.items()}
            for number, fd in high.items():
                os.dup2(fd, number)
            for number in range(3, 600):
                if number not in fds:
                    try:
                        os.close(number)
                    except OSError:
                        pass
            os.setsid()
            if terminal is not None:
                fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
            os.chdir('/')
            # A shell has its background jobs ignore these, and so all that they start.
            for key in (signal.SIGINT, signal.SIGQUIT):
                signal.signal(key, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            os.execve(sys.executable, ['python3', '-ISB', HERE + '/worker.py', *words],
                      {'CHILD': child, 'FOREGROUND': str(terminal) if terminal else ''})
        finally:
            os._exit(126)

    def use(self):
        os.kill(self.pid, signal.SIGUSR1)

    def tool(self, name, command, options, fds):
        command = [TOOLS[name], command, '-D', self.images, '-o', command + '.log', '-v4', *options]
        done = subprocess.run(command, pass_fds=fds, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE)
        self.output = done.stdout.decode(errors='replace')
        try:
            with open(f'{self.images}/{command[1]}.log', encoding='utf-8', errors='replace') as f:
                self.output += f.read()
        except FileNotFoundError:
            pass
        return done.returncode

    def why(self):
        lines = [l for l in self.output.splitlines() if 'Err' in l or 'Warn' in l]
        return ' | '.join(lines[-6:]) or self.output[-600:]

    def dump(self, *external):
        options = [word for name in external for word in ('--external', name)]
        status = self.tool(self.dumper, 'dump', ['-t', str(self.pid), *options], ())
        check(status == 0, f'dump: exit status {status}: {self.why()}')
        reap_all()

    def try_restore(self, *inherit, command='restore'):
        """Pairs of a descriptor and what it is for."""
        options = [w for fd, name in inherit for w in ('--inherit-fd', f'fd[{fd}]:{name}')]
        return self.tool(self.restorer, command, ['-d', *options],
                         [fd for fd, _ in inherit if fd < 900])

    def restore(self, *inherit):
        status = self.try_restore(*inherit)
        self.restored = status == 0
        check(status == 0, f'restore: exit status {status}: {self.why()}')

    def child(self):
        with open(f'/proc/{self.pid}/task/{self.pid}/children', encoding='ascii') as f:
            return int(f.read())

    def fdinfo(self, fd, key):
        with open(f'/proc/{self.pid}/fdinfo/{fd}', encoding='ascii') as f:
            for line in f:
                if line.startswith(key + ':'):
                    return line.split()[1]
        return None

    def end(self):
        try:
            if self.pid:
                os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        reap_all()

    def only_stasis_restores(self, why):
        if self.restorer != 'stasis':
            raise Skip('CRIU ' + why)


def read(fd, want):
    """Bytes until there are as many as wanted, or nothing comes for a long time."""
    got, end = b'', time.monotonic() + PATIENCE
    while len(got) < len(want):
        if not select.select([fd], [], [], max(0, end - time.monotonic()))[0]:
            break
        more = os.read(fd, len(want) - len(got))
        if not more:
            break
        got += more
    equal('what was read', got, want)


def grown(path, want):
    """The file's contents, which it has or will have."""
    end, contents = time.monotonic() + PATIENCE, b''
    while contents != want and time.monotonic() < end:
        with open(path, 'rb') as f:
            contents = f.read()
        time.sleep(0.01)
    equal(os.path.basename(path), contents, want)


def pipe_name(fd):
    return os.readlink(f'/proc/self/fd/{fd}')


def tty_name(fd):
    st = os.fstat(fd)
    return f'tty[{st.st_rdev:x}:{st.st_dev:x}]'


def file_name(fd):
    with open(f'/proc/self/fdinfo/{fd}', encoding='ascii') as f:
        mount = [int(l.split()[1]) for l in f if l.startswith('mnt_id:')][0]
    return f'file[{mount:x}:{os.fstat(fd).st_ino:x}]'


def accmode(flags):
    return int(flags, 8) & (os.O_ACCMODE | os.O_NONBLOCK | os.O_APPEND)
