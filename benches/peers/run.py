#!/usr/bin/env python3
"""Kroton beside other libraries on the workloads W1–W13, in one interleaved run; README.md says what is needed.

  python3 benches/peers/run.py --peers FOLDER c_fast:1 drjit:1 numba_svml:1 kroton:1 triad_nt:1 --cases 'W5.*f64'

FOLDER holds bench.py, which defines the workloads, their data and the protocol of measuring, and the environments of the
other libraries. Names with a number of threads behind them, or with both 1 and 2:
  kroton          kroton::Array, results fresh; W1out writes into an array that is there
  kroton_vec      W1 into a Vec, from Vecs; kroton_strided: W1 into every other element of an ndarray array, from the same
  triad triad_nt  limits: as many bytes as W1 moves, by a plain and by a non-temporal triad
  read            a limit: as many bytes as a reduction reads; fma: as many flops as W4 and W11 have, in registers
  all others      as in bench.py
"""
import argparse, json, os, select, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STYLES = dict(kroton='array', kroton_vec='vec', kroton_strided='strided')
LIMITS = ('triad', 'triad_nt', 'read', 'fma')
SCRATCH = '/dev/shm' if os.path.isdir('/dev/shm') else None


def load_bench(folder):
    sys.path.insert(0, folder)
    import bench
    return bench


# ---------------------------------------------------------------- limits
def limit(bench, name, threads):
    """A peer that moves as many bytes, or does as many operations, as a case must, and gives the reference's result."""

    class Limit(bench.Peer):
        def __init__(self):
            import ctypes
            self.c, self.lib = ctypes, ctypes.CDLL(os.path.join(bench.HERE, 'c', 'libstrict.so'))
            self.lib.set_threads(threads)
            self.ver = 'limit'

        def call(self, function, *arguments):
            f = getattr(self.lib, function)
            f.restype = self.c.c_double
            return lambda: f(*arguments)

        def work(self, case):
            import numpy as np
            count, pointer = self.c.c_long, lambda a: self.c.c_void_p(a.ctypes.data)
            if name == 'fma' and case['flops']:
                flops = 96 if case['dt'] == 'f64' else 192
                return self.call('fma_peak_' + case['dt'], count(case['flops'] // (flops * threads)))
            arrays = {'triad': 3, 'triad_nt': 3, 'read': 1}.get(name, 0)
            fits = case['w'] in ('W1', 'W1out') if arrays == 3 else case['w'] in ('W2', 'W7sum', 'W7lse', 'W7meanvar', 'W7argmax', 'W12')
            if not arrays or not fits or case['bytes'] < 1 << 20:
                raise bench.Unsupported('not the limit of this')
            n = case['bytes'] // 8 // arrays
            memory = [bench.aligned(np, n, np.float64) for _ in range(arrays)]
            for array in memory:
                array += 1
            self.keep = memory
            if name == 'read':
                self.sum = self.c.c_double()
                return self.call('read_sum', pointer(memory[0]), count(n), self.c.byref(self.sum))
            return self.call('stream_' + name, *map(pointer, memory), count(n))

        def make(self, case):
            work, results = self.work(case), bench.reference(case)
            return lambda: (work(), results)[1]

    return Limit()


# ---------------------------------------------------------------- workers
def limit_worker(base, folder, name, threads):
    class LimitWorker(base):
        def __init__(self):
            environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
            command = [sys.executable, os.path.abspath(__file__), '--limit', folder, name, str(threads)]
            self.peer, self.nt, self.dead = name, threads, False
            self.p = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    return LimitWorker()


class KrotonWorker:
    """Speaks bench.py's protocol for a process of examples/peer_bench, and checks its results."""

    def __init__(self, bench, binary, name, threads):
        self.bench, self.peer, self.nt, self.dead = bench, name, threads, False
        pin = (lambda: os.sched_setaffinity(0, {1})) if threads == 1 else None
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        self.p = subprocess.Popen([binary, str(threads), STYLES[name]], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True, env=environment, preexec_fn=pin)

    def hello(self):
        status, words = self.reply(60)
        return dict(ver=words, import_s=0.0) if status == 'ok' else dict(error=words)

    def ask(self, limit=120, **request):
        if self.dead:
            return dict(error='worker dead')
        with tempfile.TemporaryDirectory(prefix='kroton_', dir=SCRATCH) as folder:
            return getattr(self, request.pop('cmd'))(limit, folder, **request)

    def prep(self, limit, folder, case, ref, nref):
        files = self.write(folder, self.bench.data(case))
        results = os.path.join(folder, 'result')
        answer = self.request(limit, 'prep', case['w'], case['dt'], results, *files)
        if isinstance(answer, dict):
            return answer
        make, first, second, *kinds = answer
        if len(kinds) != nref:
            return dict(error='result count')
        errors = [self.error(f'{results}_{i}', kind, f'{ref}_{i}.npy') for i, kind in enumerate(kinds)]
        return dict(make=float(make), first=float(first), second=float(second), err=max(errors))

    def run(self, limit, folder, est, budget):
        busy, own = self.bench.busy(), self.cpu_time()
        answer = self.request(limit, 'run', est, budget)
        if isinstance(answer, dict):
            return answer
        calls, *seconds = answer
        samples = [float(s) for s in seconds]
        elapsed = sum(samples) * int(calls)
        foreign = (self.bench.busy() - busy - (self.cpu_time() - own)) / (2 * elapsed)
        return dict(ts=samples, inner=int(calls), foreign=foreign)

    def lat(self, limit, folder, kind, k):
        if self.peer != 'kroton':
            return dict(unsupported='this style is for W1 alone')
        answer = self.request(limit, 'lat', kind, k, *self.write(folder, self.bench.lat_data(kind)))
        return answer if isinstance(answer, dict) else dict(s=float(answer[0]))

    def drop(self, limit, folder):
        self.request(limit, 'drop')
        return {}

    def write(self, folder, arrays):
        words = []
        for index, array in enumerate(arrays):
            path = os.path.join(folder, f'input_{index}')
            array.tofile(path)
            words += ['x'.join(map(str, array.shape)), path]
        return words

    def error(self, path, kind, reference):
        """The largest error, as bench.py scales it: |r - ref| / max(|ref|, 0.01 max |ref|)."""
        import numpy as np
        dtype, shape = kind.split(':')
        shape = () if shape == '-' else tuple(map(int, shape.split('x')))
        types = dict(f32='<f4', f64='<f8', i64='<i8')
        ours, ref = np.fromfile(path, types[dtype]).reshape(shape), np.load(reference)
        ours = ours.reshape(ref.shape)
        scale = np.max(np.abs(ref[:1000] if ref.ndim else ref))
        if ref.size > 2_000_000:
            ours, ref = ours.ravel()[::13], ref.ravel()[::13]
        return float(np.max(np.abs(ours.astype(np.float64) - ref) / np.maximum(np.abs(ref), 0.01 * scale + 1e-300)))

    def cpu_time(self):
        fields = open(f'/proc/{self.p.pid}/stat').read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def request(self, limit, *words):
        """The words of an answer, or what went wrong."""
        self.p.stdin.write(' '.join(map(str, words)) + '\n')
        self.p.stdin.flush()
        status, rest = self.reply(limit)
        return rest.split() if status == 'ok' else {status: rest}

    def reply(self, limit):
        if not select.select([self.p.stdout], [], [], limit)[0]:
            self.p.kill()
            self.dead = True
            return 'error', f'over {limit} s, killed'
        line = self.p.stdout.readline()
        if not line:
            self.dead = True
            return 'error', 'worker died'
        status, _, rest = line.strip().partition(' ')
        return status, rest


# ---------------------------------------------------------------- the table
def table(bench, results):
    lines = ['Medians; ratios are those of medians, in brackets those of the shortest samples. `peer` is the fastest other',
             'library of this run (without C), `C` the faster one of its builds. The ratio to the limits is that to the one that',
             'takes longest, where a plain triad does not count: it also reads what it overwrites.']
    for threads in (1, 2):
        names = {key.split('|')[1] for key in results['runs'] if key.endswith(f'|{threads}')}
        for ours in (name for name in STYLES if name in names):
            rows = [row for case in bench.CASES if (row := compare(results, case['id'], ours, names, threads))]
            if rows:
                lines += ['', f'## {ours}, {threads} thread{"s" if threads > 1 else ""}', '',
                          '| case | Kroton | peer | Kroton / peer | C | Kroton / C | limit | Kroton / limit | error |', '|---' * 9 + '|']
                lines += rows
    return '\n'.join(lines + latencies(bench, results))


def compare(results, case, ours, names, threads):
    entry = lambda name: results['runs'].get(f'{case}|{name}|{threads}', {})
    mine = entry(ours)
    if not mine:
        return None
    if 'med' not in mine:
        why = mine.get('unsupported') or mine.get('error', 'no time')
        return None if ours != 'kroton' else f'| {case} | {why} |' + ' |' * 7
    others = [n for n in names if n not in STYLES and n not in LIMITS]
    c = [n for n in others if n.startswith('c_')]
    timed = lambda group: sorted((e['med'], n, e) for n in group if 'med' in (e := entry(n)))
    limits = timed(LIMITS)
    binding = [limit for limit in limits if limit[1] != 'triad'][-1:]
    cells = [case, seconds_text(mine['med'])]
    for best in (timed(set(others) - set(c))[:1], timed(c)[:1], binding):
        if not best:
            cells += ['', '']
            continue
        (med, name, other), = best
        text = ', '.join(f'{n} {seconds_text(m)}' for m, n, _ in (limits if best is binding else best))
        cells += [text, f"{mine['med'] / med:.2f} ({mine['min'] / other['min']:.2f})"]
    return '| ' + ' | '.join(cells + [f"{mine['err']:.0e}"]) + ' |'


def latencies(bench, results):
    lines = []
    for kind in bench.LAT:
        for threads in (1, 2):
            times = {k.split('|')[1]: v['med'] for k, v in results['lat'].items()
                     if k.startswith(kind + '|') and k.endswith(f'|{threads}') and 'med' in v}
            ours = times.pop('kroton', None)
            if ours is None:
                continue
            others = sorted((t, n) for n, t in times.items())
            text = ', '.join(f'{n} {seconds_text(t)}' for t, n in others)
            lines.append(f'| {kind} | {threads} | {seconds_text(ours)} | {text} |')
    head = ['', '## W13: definition to first result, of programs never seen before', '',
            '| program | threads | Kroton | others |', '|---|---|---|---|']
    return head + lines if lines else []


def seconds_text(seconds):
    for unit, scale in (('ns', 1e9), ('µs', 1e6), ('ms', 1e3)):
        if seconds * scale < 1000:
            return f'{seconds * scale:.3g} {unit}'
    return f'{seconds:.3g} s'


# ---------------------------------------------------------------- the run
def build():
    command = ['cargo', 'build', '--release', '--example', 'peer_bench', '--message-format', 'json-render-diagnostics']
    out = subprocess.run(command, cwd=os.path.join(HERE, '..', '..'), check=True, stdout=subprocess.PIPE, text=True).stdout
    found = [m['executable'] for line in out.splitlines() if (m := json.loads(line)).get('executable')]
    return found[-1]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('names', nargs='+', metavar='NAME[:THREADS]')
    parser.add_argument('--peers', required=True, metavar='FOLDER', help='where bench.py is')
    parser.add_argument('--cases', default='.', help='a regular expression over names of cases (W13lat/w1 … for compile times)')
    parser.add_argument('--results', metavar='FILE', help='JSON that collects the results of several runs')
    parser.add_argument('--rounds', type=int, default=3)
    parser.add_argument('--budget', type=float, default=0.08, help='seconds for each name, case and round')
    parser.add_argument('--threads', default='1,2', help='for names without a number')
    return parser.parse_args()


def main():
    if sys.argv[1:2] == ['--limit']:
        folder, name, threads = sys.argv[2:]
        bench = load_bench(folder)
        bench.PEERS[name] = lambda count: limit(bench, name, count)
        return bench.worker(name, int(threads))
    asked = arguments()
    folder = os.path.abspath(asked.peers)
    python = os.path.join(folder, 'venv', 'base', 'bin', 'python')
    if os.path.realpath(sys.prefix) != os.path.realpath(os.path.join(folder, 'venv', 'base')):
        os.execv(python, [python, os.path.abspath(__file__)] + sys.argv[1:])
    bench = load_bench(folder)
    binary, others = build(), bench.W

    def worker(name, threads):
        if name in STYLES:
            return KrotonWorker(bench, binary, name, threads)
        return limit_worker(others, folder, name, threads) if name in LIMITS else others(name, threads)

    bench.W = worker
    with tempfile.TemporaryDirectory() as scratch:
        bench.RES = os.path.abspath(asked.results) if asked.results else os.path.join(scratch, 'results.json')
        threads = [int(count) for count in asked.threads.split(',')]
        bench.run(asked.names, asked.cases, threads, asked.rounds, asked.budget, float('inf'))
        print('\n' + table(bench, bench.load()))


if __name__ == '__main__':
    main()
