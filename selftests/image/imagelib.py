# SPDX-License-Identifier: GPL-2.0-only
"""What the tests of images share: TAP, the two programs, a checkpoint built from JSON."""
import contextlib
import io
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
STASIS = os.environ.get('STASIS', os.path.join(BUILD, 'stasis'))


class Tap:
    """Results as they are printed; the plan comes last."""

    def __init__(self):
        self.count = self.failed = 0

    def result(self, name, problems, skip=None):
        """problems: a list of texts, empty when all is well."""
        self.count += 1
        if skip:
            print(f'ok {self.count} {name} # SKIP {skip}')
            return
        for text in problems:
            for line in str(text).splitlines()[:20]:
                print(f'# {line[:300]}')
        self.failed += bool(problems)
        print(f'{"not " if problems else ""}ok {self.count} {name}', flush=True)

    def end(self):
        print(f'1..{self.count}')
        return 1 if self.failed or not self.count else 0


def stasis(*args, data=None):
    """(exit status, standard output, standard error) of `stasis crit`."""
    done = subprocess.run([STASIS, 'crit', *args], input=data if data is not None else b'',
                          capture_output=True, check=False, timeout=60)
    return done.returncode, done.stdout, done.stderr.decode(errors='replace')


def read(path):
    with open(path, 'rb') as f:
        return f.read()


def write(path, data):
    with open(path, 'wb') as f:
        f.write(data)


class Crit:
    """Debian's crit, in this process: a start of it takes longer than all it does here."""

    def __init__(self):
        fetch = subprocess.run([os.path.join(TOP, 'selftests', 'peers', 'fetch')],
                               capture_output=True, check=False)
        if fetch.returncode:
            text = fetch.stderr.decode().strip().splitlines() or ['fetch failed']
            raise RuntimeError(text[-1])
        root = fetch.stdout.decode().strip()
        self.path = os.path.join(root, 'usr/lib/python3/dist-packages')
        sys.path.insert(0, self.path)
        import crit.__main__ as program  # pylint: disable=import-error,import-outside-toplevel
        self.program = program

    def run(self, *args):
        """Standard output; raises what crit raises."""
        out = io.StringIO()
        sys.argv = ['crit', *args]
        with contextlib.redirect_stdout(out):
            self.program.main()
        return out.getvalue().encode()

    def alone(self, *args):
        """(exit status, standard output) of a crit of its own: `x` keeps what it read."""
        done = subprocess.run([sys.executable, '-m', 'crit', *args], capture_output=True,
                              check=False, env={**os.environ, 'PYTHONPATH': self.path})
        return done.returncode, done.stdout


def crit_or_skip(tap, name):
    try:
        return Crit()
    except (RuntimeError, ImportError) as why:
        tap.result(name, [], skip=f'no crit: {why}')
        return None


FOWN = {'uid': 0, 'euid': 0, 'signum': 0, 'pid_type': 0, 'pid': 0}
SK_OPTS = {'so_sndbuf': 1, 'so_rcvbuf': 1, 'so_snd_tmo_sec': 0, 'so_snd_tmo_usec': 0,
           'so_rcv_tmo_sec': 0, 'so_rcv_tmo_usec': 0}
REGS = ('r15 r14 r13 r12 bp bx r11 r10 r9 r8 ax cx dx si di orig_ax ip cs flags sp ss fs_base '
        'gs_base ds es fs gs').split()
MM = ('mm_start_code mm_end_code mm_start_data mm_end_data mm_start_stack mm_start_brk mm_brk '
      'mm_arg_start mm_arg_end mm_env_start mm_env_end').split()


def reg(number, name, **more):
    return {'type': 'REG', 'id': number,
            'reg': {'id': number, 'flags': 0, 'pos': 0, 'fown': FOWN, 'name': name, **more}}


def pipe(number, pipe_id, **more):
    return {'type': 'PIPE', 'id': number,
            'pipe': {'id': number, 'pipe_id': pipe_id, 'flags': 0, 'fown': FOWN, **more}}


def vma(start, end, **more):
    return {'start': start, 'end': end, 'pgoff': 0, 'shmid': 0, 'prot': 3, 'flags': 0x22,
            'status': 0x201, 'fd': -1, **more}


def thread_core(comm):
    fpregs = dict.fromkeys('cwd swd twd fop rip rdp mxcsr mxcsr_mask'.split(), 0)
    fpregs.update(st_space=[0] * 32, xmm_space=[0] * 64)
    caps = [4294967295, 511]
    creds = dict.fromkeys('uid gid euid egid suid sgid fsuid fsgid secbits'.split(), 0)
    creds.update(cap_inh=[0, 0], cap_prm=caps, cap_eff=caps, cap_bnd=caps)
    return {'mtype': 'X86_64',
            'thread_info': {'clear_tid_addr': 0, 'gpregs': dict.fromkeys(REGS, 0),
                            'fpregs': fpregs},
            'thread_core': {'futex_rla': 0, 'futex_rla_len': 0, 'creds': creds, 'comm': comm}}


def process_core(comm, state=1):
    task = {'task_state': state, 'exit_code': 0, 'personality': 0, 'flags': 0, 'blk_sigset': 0,
            'comm': comm}
    if state not in (1, 3):
        return {'mtype': 'X86_64', 'tc': task}
    return {**thread_core(comm), 'tc': task}


class Checkpoint(dict):
    """Image name without .img -> (magic, entries). Small, whole and valid until it is changed."""

    def __init__(self):
        super().__init__()
        self['inventory'] = ('INVENTORY', [{'img_version': 2, 'fdinfo_per_id': True,
                                            'ns_per_id': True}])
        self['files'] = ('FILES', [reg(1, '/bin/x'), reg(2, '/'), reg(3, '/tmp/log', size=5),
                                   pipe(4, 77), pipe(5, 77, flags=1)])
        self['pstree'] = ('PSTREE', [])

    def task(self, pid, parent, group, session, threads=(), fds=(), vmas=()):
        self['pstree'][1].append({'pid': pid, 'ppid': parent, 'pgid': group, 'sid': session,
                                  'threads': [pid, *threads]})
        self[f'core-{pid}'] = ('CORE', [process_core(f'comm{pid}')])
        for tid in threads:
            self[f'core-{tid}'] = ('CORE', [thread_core(f'thread{tid}')])
        self[f'ids-{pid}'] = ('IDS', [{'vm_id': pid, 'files_id': pid, 'fs_id': pid,
                                       'sighand_id': pid}])
        self[f'fs-{pid}'] = ('FS', [{'cwd_id': 2, 'root_id': 2}])
        self[f'fdinfo-{pid}'] = ('FDINFO', list(fds))
        self[f'mm-{pid}'] = ('MM', [{**dict.fromkeys(MM, 0), 'exe_file_id': 1,
                                     'vmas': list(vmas)}])
        self[f'pagemap-{pid}'] = ('PAGEMAP', [{'pages_id': pid}])

    def zombie(self, pid, parent, group, session, state=2):
        self['pstree'][1].append({'pid': pid, 'ppid': parent, 'pgid': group, 'sid': session,
                                  'threads': [123456789]})
        self[f'core-{pid}'] = ('CORE', [process_core(f'comm{pid}', state)])

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)
        for name, (magic, entries) in self.items():
            text = json.dumps({'magic': magic, 'entries': entries}).encode()
            status, _, err = stasis('encode', '-o', os.path.join(folder, name + '.img'), data=text)
            if status:
                raise RuntimeError(f'{name}: {err}')


def small():
    """A shell with a pipeline, threads and a zombie."""
    cp = Checkpoint()
    fds = [{'id': 3, 'flags': 0, 'type': 'REG', 'fd': 0},
           {'id': 4, 'flags': 1, 'type': 'PIPE', 'fd': 3}]
    vmas = [vma(0x400000, 0x402000, status=0x41, flags=2, shmid=1, prot=5),
            vma(0x500000, 0x501000), vma(0x7ffd0000, 0x7ffe0000, flags=0x122)]
    cp.task(100, 0, 100, 100, fds=fds, vmas=vmas)
    cp.task(101, 100, 101, 100, threads=(103, 104), fds=fds, vmas=vmas)
    cp.task(102, 100, 101, 100, fds=fds[1:], vmas=vmas[:2])
    cp.zombie(105, 101, 101, 100)
    return cp
