#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turn the KTAP files of one run into a table and a JUnit file.

usage: report.py RESULTS KERNEL...

RESULTS/KERNEL/TOPIC.ktap has a result for every test program, and nested below it
one for every test in it. RESULTS/KERNEL/TOPIC.problem is there if the guest died or
its kernel complained. The table goes to stdout and RESULTS.txt, JUnit to RESULTS.xml.
Exit status: 0 if nothing failed, 1 if something did.
"""
import argparse
import os
import re
import sys
from xml.sax.saxutils import escape, quoteattr

RESULT = re.compile(r'^( *)(not ok|ok) (\d+)(?: -)? ?(.*)$')
PLAN = re.compile(r'^( *)1\.\.(\d+)(?: *# *SKIP *(.*))?$', re.I)
DIRECTIVE = re.compile(r'^(.*?)\s*# *(SKIP|XFAIL|TODO|TIMEOUT|exit=\d+)\b:? *(.*)$', re.I)
NOISE = re.compile(r'^#\s*(RUN  |OK  |FAIL  |Starting \d|PASSED:|FAILED:|Totals:)')


class Case:
    """One row in one column."""

    def __init__(self, name, state, why=''):
        self.name, self.state, self.why = name, state, why


class Level:
    """Results at one depth of nesting, until the line that sums them up."""

    def __init__(self):
        self.cases, self.plan, self.notes, self.skip_all = [], None, [], None


def read_result(ok, text):
    """The name, state and reason of a result line."""
    match = DIRECTIVE.match(text)
    name, word, why = match.groups() if match else (text, '', '')
    word = word.upper()
    if ok and word == 'SKIP':
        return name.strip(), 'skip', why
    if word in ('XFAIL', 'TODO'):
        return name.strip(), 'xfail', why
    if ok:
        return name.strip(), 'pass', ''
    reason = ' '.join(part for part in (word.lower(), why) if part)
    return name.strip(), 'FAIL', reason


def sum_up(program, level, ok, text):
    """The rows of one program: its tests, and itself if they do not tell the whole story."""
    name, state, why = read_result(ok, text)
    rows = []
    for case in level.cases:
        rows.append(Case(f'{program}/{name}: {case.name}', case.state, case.why))
    if level.skip_all is not None:
        state, why = 'skip', level.skip_all or why
    if not rows:
        if state == 'skip' and not why and level.notes:
            why = level.notes[-1]
        return [Case(f'{program}/{name}', state, with_notes(why, level.notes, state))]
    missing = (level.plan or 0) - len(level.cases)
    if missing > 0:
        reason = f'{missing} of {level.plan} tests gave no result' + (f', {why}' if why else '')
        rows.append(Case(f'{program}/{name}', 'FAIL', reason))
    elif state == 'FAIL' and not any(case.state == 'FAIL' for case in rows):
        rows.append(Case(f'{program}/{name}', 'FAIL', why or 'failed though its tests did not'))
    return rows


def with_notes(why, notes, state):
    """The reason of a failure, with the last words before it."""
    return ' | '.join(part for part in [why] + notes[-6:] if part) if state == 'FAIL' else why


def read_ktap(path, topic):
    """All rows of a topic's file; what is cut off at its end is a failure."""
    rows, inner, outer_plan, seen = [], Level(), None, 0
    notes = []
    with open(path, encoding='utf-8', errors='replace') as file:
        for line in file:
            line = line.rstrip('\n')
            plan = PLAN.match(line)
            result = RESULT.match(line)
            if result and not result[1]:
                rows += sum_up(topic, inner, result[2] == 'ok', result[4])
                inner, notes = Level(), []
                seen += 1
            elif result and len(result[1]) == 2:
                name, state, why = read_result(result[2] == 'ok', result[4])
                why = with_notes(why, notes, state)
                inner.cases.append(Case(name or f'test {result[3]}', state, why))
                notes = []
            elif plan and not plan[1]:
                outer_plan = int(plan[2])
            elif plan and len(plan[1]) == 2:
                inner.plan = int(plan[2])
                inner.skip_all = plan[3]
            elif line.strip().startswith('#') and not NOISE.match(line.strip()):
                text = line.strip().lstrip('# ').strip()
                if text:
                    notes.append(text)
                    inner.notes.append(text)
    for case in inner.cases:
        rows.append(Case(f'{topic}/: {case.name}', case.state, case.why))
    if outer_plan is None or seen < outer_plan:
        planned = outer_plan if outer_plan is not None else 'all'
        rows.append(Case(topic, 'FAIL', f'the run ended after {seen} of {planned} programs'))
    return rows


def read_column(folder):
    """All rows of one kernel."""
    rows = {}
    for entry in sorted(os.listdir(folder)):
        topic, kind = os.path.splitext(entry)
        path = os.path.join(folder, entry)
        if kind == '.ktap':
            found = read_ktap(path, topic)
        elif kind == '.problem':
            with open(path, encoding='utf-8', errors='replace') as file:
                found = [Case(f'{topic}: kernel', 'FAIL', file.read().strip())]
        else:
            continue
        for case in found:
            name, n = case.name, 2
            while case.name in rows:
                case.name, n = f'{name} ({n})', n + 1
            rows[case.name] = case
    return rows


def table(columns):
    """The text: rows by tests, then reasons, then totals."""
    names = []
    for rows in columns.values():
        # A row that another column lacks goes where its own column has it.
        at = 0
        for name in rows:
            if name in names:
                at = names.index(name) + 1
            else:
                names.insert(at, name)
                at += 1
    width = max([len(name) for name in names] + [4])
    widths = {kernel: max(len(kernel), 5) for kernel in columns}
    out = ['  '.join(['test'.ljust(width)] + [kernel.ljust(widths[kernel]) for kernel in columns]).rstrip()]
    out.append('  '.join(['-' * width] + ['-' * widths[kernel] for kernel in columns]))
    for name in names:
        cells = [rows[name].state if name in rows else '-' for rows in columns.values()]
        cells = [cell.ljust(widths[kernel]) for cell, kernel in zip(cells, columns)]
        out.append('  '.join([name.ljust(width)] + cells).rstrip())
    for kernel, rows in columns.items():
        reasons = {}
        for case in rows.values():
            if case.state == 'skip':
                reasons.setdefault(case.why or 'no reason given', []).append(case.name)
        for why, cases in reasons.items():
            out.append(f'\nskipped on {kernel}, {len(cases)}: {why}')
    for kernel, rows in columns.items():
        for case in rows.values():
            if case.state == 'FAIL':
                out.append(f'\nFAILED on {kernel}: {case.name}')
                out += ['    ' + line for line in case.why.replace(' | ', '\n').split('\n') if line]
    out.append('')
    for kernel, rows in columns.items():
        states = [case.state for case in rows.values()]
        text = f'{kernel}: {states.count("pass")} passed, {states.count("FAIL")} failed, {states.count("skip")} skipped'
        if states.count('xfail'):
            text += f', {states.count("xfail")} failed as expected'
        out.append(text)
    return '\n'.join(out) + '\n'


def tap(columns):
    """One flat list of everything, for a runner that counts."""
    cases = [(kernel, case) for kernel, rows in columns.items() for case in rows.values()]
    out = ['TAP version 13', f'1..{len(cases)}']
    for n, (kernel, case) in enumerate(cases, 1):
        if case.state == 'FAIL':
            out += ['# ' + line for line in case.why.replace(' | ', '\n').split('\n') if line]
        line = f'{"not ok" if case.state in ("FAIL", "xfail") else "ok"} {n} {kernel}: {case.name.replace("#", "")}'
        if case.state == 'skip':
            line += ' # SKIP ' + case.why
        elif case.state == 'xfail':
            line += ' # TODO ' + case.why
        out.append(line)
    return '\n'.join(out) + '\n'


def junit(columns):
    """A test suite per kernel."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>', '<testsuites>']
    for kernel, rows in columns.items():
        states = [case.state for case in rows.values()]
        out.append(f'<testsuite name={quoteattr("kernel." + kernel)} tests="{len(states)}" '
                   f'failures="{states.count("FAIL")}" skipped="{states.count("skip") + states.count("xfail")}">')
        for case in rows.values():
            group, _, name = case.name.partition(': ')
            group = 'kernel.' + kernel + '.' + group.replace('/', '.')
            line = f'<testcase classname={quoteattr(group)} name={quoteattr(name or group)}'
            if case.state == 'pass':
                out.append(line + '/>')
                continue
            # Control characters are not allowed in XML even when escaped.
            why = re.sub(r'[^\t\n -\ud7ff\ue000-\ufffd]', '?', case.why)
            if case.state == 'FAIL':
                body = f'<failure message={quoteattr(why.split(chr(10))[0][:200])}>{escape(why)}</failure>'
            else:
                body = f'<skipped message={quoteattr(why)}/>'
            out.append(f'{line}>{body}</testcase>')
        out.append('</testsuite>')
    out.append('</testsuites>')
    return '\n'.join(out) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tap', action='store_true', help='TAP on stdout instead of the table')
    parser.add_argument('results')
    parser.add_argument('kernels', nargs='+')
    args = parser.parse_args()
    columns = {kernel: read_column(os.path.join(args.results, kernel)) for kernel in args.kernels}
    text = table(columns)
    with open(args.results + '.txt', 'w', encoding='utf-8') as file:
        file.write(text)
    with open(args.results + '.xml', 'w', encoding='utf-8') as file:
        file.write(junit(columns))
    sys.stdout.write(tap(columns) if args.tap else text)
    if not all(columns.values()):
        print('error: a kernel has no results at all', file=sys.stderr)
        return 1
    return int(any(case.state == 'FAIL' for rows in columns.values() for case in rows.values()))


if __name__ == '__main__':
    sys.exit(main())
