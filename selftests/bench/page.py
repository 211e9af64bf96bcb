# SPDX-License-Identifier: GPL-2.0-only
"""What the benchmarks share: where programs are, their options, tables, the page of results."""
import argparse
import os
import re
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(TOP, os.environ.get('BUILD', 'build'))
ENGINES = {'stasis': os.environ.get('STASIS', os.path.join(BUILD, 'stasis')),
           'criu': os.environ.get('CRIU', os.path.join(TOP, 'selftests/peers/criu'))}


def milliseconds(values):
    """Of seconds: median (minimum)."""
    if not values:
        return '-'
    return f'{statistics.median(values) * 1e3:.1f} ({min(values) * 1e3:.1f})'


def table(rows):
    """Markdown; the first row is the head."""
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    lines = ['| ' + ' | '.join(c.ljust(w) for c, w in zip(r, widths)) + ' |' for r in rows]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in widths) + '|')
    return '\n'.join(lines)


def machine():
    with open('/proc/cpuinfo', encoding='ascii') as info:
        model = re.search(r'model name\s*: (.*)', info.read())
    memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2 ** 30
    return (f'{os.cpu_count()} CPUs ({model[1] if model else "?"}), {memory:.0f} GiB, '
            f'Linux {os.uname().release}, load {os.getloadavg()[0]:.1f}')


def criu_version():
    """'' where there is none."""
    try:
        said = subprocess.run([ENGINES['criu'], '--version'], capture_output=True, text=True,
                              check=False).stdout
    except OSError:
        return ''
    return said.split('\n')[0].replace('Version: ', '')


def write_into(path, mark, heading, text):
    """Replace what stands between the two marks of this name, or add it with them."""
    begin, end = f'<!-- {mark}: begin -->', f'<!-- {mark}: end -->'
    path, old = os.path.join(TOP, path), ''
    if os.path.exists(path):
        with open(path, encoding='utf-8') as page:
            old = page.read()
    block = f'{begin}\n{text}{end}\n'
    if begin in old and end in old:
        new = old[:old.index(begin)] + block + old[old.index(end) + len(end) + 1:]
    else:
        new = (old or '# Benchmarks\n') + f'\n## {heading}\n\n' + block
    with open(path, 'w', encoding='utf-8') as page:
        page.write(new)


def parser_of(doc, disk=True):
    parser = argparse.ArgumentParser(description=doc.split('\n', maxsplit=1)[0])
    parser.add_argument('--runs', type=int, default=0, help='runs of each case')
    parser.add_argument('--engines', default='stasis,criu', help='stasis, criu or both (both)')
    if disk:
        parser.add_argument('--disk', default='/var/tmp', help='a folder on disk (/var/tmp)')
    parser.add_argument('--tmpfs', default='/dev/shm', help='a folder on tmpfs (/dev/shm)')
    parser.add_argument('--normal-priority', action='store_true',
                        help='no real-time priority: for a machine that does nothing else')
    parser.add_argument('--write', metavar='FILE', help='put the table into this page too')
    return parser


def in_namespace(args):
    """Once more, where pids are free again at once. What else the machine does, waits."""
    if 'BENCH_REAPED' not in os.environ:
        reaper = os.path.join(BUILD, 'selftests', 'reaper')
        os.execve(reaper, [reaper, *sys.argv], dict(os.environ, BENCH_REAPED='1'))
    if not args.normal_priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(5))
