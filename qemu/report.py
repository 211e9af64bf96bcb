#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turn the KTAP files of one run into a table and a JUnit file.

usage: report.py [--topic TOPIC]... RESULTS KERNEL...

RESULTS/KERNEL/TOPIC.ktap has a result for every test program, and nested below it
one for every test in it. RESULTS/KERNEL/TOPIC.problem is there if the guest died or
its kernel complained. RESULTS/KERNEL/about, lines 'KEY: VALUE', says what kernel that is.
The table goes to stdout and RESULTS.txt, JUnit to RESULTS.xml.
Exit status: 0 if nothing failed, 1 if something did.
"""
import argparse
import os
import re
import sys
from xml.sax.saxutils import escape, quoteattr

RESULT = re.compile(r'^( *)(not ok|ok)(?=\s|$)(?: +(\d+)\b)?(?: -)? ?(.*)$')
PLAN = re.compile(r'^( *)1\.\.(\d+)(?: *# *SKIP *(.*))?$', re.I)
DIRECTIVE = re.compile(r'^(.*?)\s*# *(SKIP|XFAIL|TODO|TIMEOUT|exit=\d+)\b:? *(.*)$', re.I)
# What run-tests.sh says: of the guest, before all programs, and of each after it.
FACT = re.compile(r'^# (kernel|cpu): (.*)$')
TOOK = re.compile(r'^# took ([\d.]+) s$')
NOISE = re.compile(r'^#\s*(RUN  |OK  |FAIL  |Starting \d|PASSED:|FAILED:|Totals:)')


def clean(text):
    """Without the control characters that XML does not allow even when escaped, and that a terminal would obey."""
    return re.sub(r'[^\t\n -\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]', '?', text)


class Case:
    """One row in one column. The seconds, where they are known, are those of the whole program."""

    def __init__(self, name, state, why='', seconds=None):
        self.name, self.state, self.why, self.seconds = clean(name), state, clean(why), seconds


class Column:
    """One kernel: rows by name, and what is known of kernel and guests."""

    def __init__(self):
        self.rows, self.facts, self.seconds = {}, {}, 0.0

    def count(self, state):
        return sum(case.state == state for case in self.rows.values())


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


def sum_up(program, level, ok, text, seconds):
    """The rows of one program: its tests, and itself if they do not tell the whole story."""
    name, state, why = read_result(ok, text)
    rows = []
    for case in level.cases:
        rows.append(Case(f'{program}/{name}: {case.name}', case.state, case.why))
    if level.skip_all is not None and state != 'FAIL':
        state, why = 'skip', level.skip_all or why
    if not rows:
        if state == 'skip' and not why and level.notes:
            why = level.notes[-1]
        return [Case(f'{program}/{name}', state, with_notes(why, level.notes, state), seconds)]
    missing = len(level.cases) if level.plan is None else level.plan
    missing -= len(level.cases)
    if missing < 0:
        rows.append(Case(f'{program}/{name}', 'FAIL', f'{len(level.cases)} results of {level.plan} tests'))
    elif missing > 0:
        reason = f'{missing} of {level.plan} tests gave no result' + (f', {why}' if why else '')
        rows.append(Case(f'{program}/{name}', 'FAIL', reason))
    elif state == 'FAIL' and not any(case.state == 'FAIL' for case in rows):
        rows.append(Case(f'{program}/{name}', 'FAIL', why or 'failed though its tests did not'))
    return rows


def with_notes(why, notes, state):
    """The reason of a failure, with the last words before it."""
    return ' | '.join(part for part in [why] + notes[-6:] if part) if state == 'FAIL' else why


def read_ktap(path, topic, column):
    """All rows of a topic's file; what is cut off at its end is a failure. Its facts go to the column."""
    rows, inner, outer_plan, seen, seconds = [], Level(), None, 0, None
    notes = []
    # Only \n ends a line: a progress bar's \r must not make results.
    with open(path, encoding='utf-8', errors='replace', newline='\n') as file:
        for line in file:
            line = line.rstrip('\n')
            plan = PLAN.match(line)
            result = RESULT.match(line)
            fact, took = FACT.match(line), TOOK.match(line)
            if fact:
                column.facts[f'{fact[1]} ({topic})'] = clean(fact[2])
            elif took:
                seconds = float(took[1])
                column.seconds += seconds
            elif result and not result[1]:
                rows += sum_up(topic, inner, result[2] == 'ok', result[4], seconds)
                inner, notes, seconds = Level(), [], None
                seen += 1
            elif result and len(result[1]) == 2:
                name, state, why = read_result(result[2] == 'ok', result[4])
                why = with_notes(why, notes, state)
                inner.cases.append(Case(name or f'test {result[3] or len(inner.cases) + 1}', state, why))
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


def read_about(path):
    with open(path, encoding='utf-8', errors='replace') as file:
        pairs = [clean(line.strip()).partition(': ') for line in file]
    return {key: value for key, _, value in pairs if value}


def read_column(folder, topics):
    """All of one kernel. A topic that was to be run and left nothing has failed."""
    column = Column()
    rows = column.rows
    for topic in topics:
        if not os.path.exists(os.path.join(folder, topic + '.ktap')):
            rows[topic] = Case(topic, 'FAIL', 'there are no results')
    for entry in sorted(os.listdir(folder)):
        topic, kind = os.path.splitext(entry)
        path = os.path.join(folder, entry)
        if kind == '.ktap':
            found = read_ktap(path, topic, column)
        elif kind == '.problem':
            with open(path, encoding='utf-8', errors='replace') as file:
                found = [Case(f'{topic}: kernel', 'FAIL', file.read().strip())]
        elif entry == 'about':
            column.facts.update(read_about(path))
            continue
        else:
            continue
        for case in found:
            name, n = case.name, 2
            while case.name in rows:
                case.name, n = f'{name} ({n})', n + 1
            rows[case.name] = case
    return column


def table(columns):
    """The text: rows by tests, then reasons, then totals."""
    names = []
    for rows in (column.rows for column in columns.values()):
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
        cells = [column.rows[name].state if name in column.rows else '-' for column in columns.values()]
        cells = [cell.ljust(widths[kernel]) for cell, kernel in zip(cells, columns)]
        out.append('  '.join([name.ljust(width)] + cells).rstrip())
    for kernel, column in columns.items():
        reasons = {}
        for case in column.rows.values():
            if case.state == 'skip':
                reasons.setdefault(case.why or 'no reason given', []).append(case.name)
        for why, cases in reasons.items():
            out.append(f'\nskipped on {kernel}, {len(cases)}: {why}')
    for kernel, column in columns.items():
        for case in column.rows.values():
            if case.state == 'FAIL':
                out.append(f'\nFAILED on {kernel}: {case.name}')
                out += ['    ' + line for line in case.why.replace(' | ', '\n').split('\n') if line]
    out.append('')
    for kernel, column in columns.items():
        facts = [column.facts[key] for key in ('release', 'accelerator') if key in column.facts]
        if facts:
            out.append(f'{kernel} is {", ".join(facts)}')
    for kernel, column in columns.items():
        text = f'{kernel}: {column.count("pass")} passed, {column.count("FAIL")} failed, {column.count("skip")} skipped'
        if column.count('xfail'):
            text += f', {column.count("xfail")} failed as expected'
        out.append(text)
    return '\n'.join(out) + '\n'


def tap(columns):
    """One flat list of everything, for a runner that counts."""
    cases = [(kernel, case) for kernel, column in columns.items() for case in column.rows.values()]
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
    for kernel, column in columns.items():
        out.append(f'<testsuite name={quoteattr("kernel." + kernel)} tests="{len(column.rows)}" '
                   f'failures="{column.count("FAIL")}" skipped="{column.count("skip") + column.count("xfail")}" '
                   f'time="{column.seconds:.2f}">')
        if column.facts:
            out += ['<properties>'] + [f'<property name={quoteattr(key)} value={quoteattr(value)}/>'
                                       for key, value in column.facts.items()] + ['</properties>']
        for case in column.rows.values():
            group, _, name = case.name.partition(': ')
            group = 'kernel.' + kernel + '.' + group.replace('/', '.')
            line = f'<testcase classname={quoteattr(group)} name={quoteattr(name or group)}'
            if case.seconds is not None:
                line += f' time="{case.seconds:.2f}"'
            if case.state == 'pass':
                out.append(line + '/>')
                continue
            if case.state == 'FAIL':
                body = f'<failure message={quoteattr(case.why.split(chr(10))[0][:200])}>{escape(case.why)}</failure>'
            else:
                body = f'<skipped message={quoteattr(case.why)}/>'
            out.append(f'{line}>{body}</testcase>')
        out.append('</testsuite>')
    out.append('</testsuites>')
    return '\n'.join(out) + '\n'


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--tap', action='store_true', help='TAP on stdout instead of the table')
    parser.add_argument('--topic', action='append', default=[], help='one that must have results')
    parser.add_argument('results')
    parser.add_argument('kernels', nargs='+')
    args = parser.parse_args()
    columns = {kernel: read_column(os.path.join(args.results, kernel), args.topic) for kernel in args.kernels}
    text = table(columns)
    with open(args.results + '.txt', 'w', encoding='utf-8') as file:
        file.write(text)
    with open(args.results + '.xml', 'w', encoding='utf-8') as file:
        file.write(junit(columns))
    sys.stdout.write(tap(columns) if args.tap else text)
    if not all(column.rows for column in columns.values()):
        print('error: a kernel has no results at all', file=sys.stderr)
        return 1
    return int(any(column.count('FAIL') for column in columns.values()))


if __name__ == '__main__':
    sys.exit(main())
