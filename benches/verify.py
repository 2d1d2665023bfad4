#!/usr/bin/env python3
"""How long a verdict takes: the table of docs/benchmarks.md, measured here.

    cargo build --release
    benches/verify.py [--runs 40] [--skep target/release/skep] [--cache DIR]

Measured from the start of the process to the last byte of its output. Runs of
different kinds take turns, so that what else the machine does disturbs all of
them alike. Kernels are fetched first; snapshots go into a directory of their
own. `--vng` and `--vmtest` name those programs, to run `true` in the same
kernel.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

KERNELS = ["debian/bullseye", "debian/bookworm", "debian/trixie", "debian/sid"]
ONE = "debian/bookworm"
SMALL = """
#define SEC(n) __attribute__((section(n), used))
char LICENSE[] SEC("license") = "GPL";
SEC("socket") int small(void *ctx) { return 0; }
"""
CORE = """
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
char LICENSE[] SEC("license") = "GPL";
long seen;
SEC("fentry/security_file_open") int BPF_PROG(traced, struct file *file)
{
	seen = BPF_CORE_READ(file, f_inode, i_ino);
	return 0;
}
"""


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))]


def show(what, times, goal):
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    print(f"{what:44} p50 {p50:6.3f} s  p99 {p99:6.3f} s  n {len(times):3}  wanted {goal}", flush=True)


class Bench:
    def __init__(self, arguments):
        self.skep = os.path.abspath(arguments.skep)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="skep-bench-"))
        self.cache = self.dir / "cache"
        self.cache.mkdir()
        # Kernels are shared, what is measured is not.
        kernels = pathlib.Path(arguments.cache).absolute() / "kernels"
        kernels.mkdir(parents=True, exist_ok=True)
        (self.cache / "kernels").symlink_to(kernels)

    def run(self, *words, check=True):
        environment = {**os.environ, "SKEP_CACHE_DIR": str(self.cache)}
        start = time.perf_counter()
        run = subprocess.run(
            [self.skep, *words],
            cwd=self.dir,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        took = time.perf_counter() - start
        if check and run.returncode != 0:
            raise SystemExit(f"skep {' '.join(words)}: {run.returncode}\n{run.stdout}{run.stderr}")
        return took, run.stdout

    def verify(self, objects, kernels, *more):
        wanted = [word for kernel in kernels for word in ("-k", kernel)]
        return self.run("verify", "-q", *wanted, *more, *objects)

    def forget(self, name):
        path = self.cache / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def peer(command, runs):
    """The times of another program, or what it said."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        run = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        times.append(time.perf_counter() - start)
        if run.returncode != 0:
            return None, f"exit code {run.returncode}: {(run.stderr or run.stdout).strip()[-400:]}"
    return times, None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--skep", default="target/release/skep")
    parser.add_argument("--cache", default=os.environ.get("SKEP_CACHE_DIR", "target/tmp/skep-cache"))
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--cold-runs", type=int, default=3)
    parser.add_argument("--corpus", help="a directory of .bpf.o files, for the row of 150 objects")
    parser.add_argument("--vng")
    parser.add_argument("--vmtest")
    arguments = parser.parse_args()
    bench = Bench(arguments)
    (bench.dir / "small.bpf.c").write_text(SMALL)
    (bench.dir / "core.bpf.c").write_text(CORE)
    for source in ("small", "core"):
        bench.run("build", f"{source}.bpf.c")
    images = {kernel: bench.run("kernel", "path", kernel)[1].strip() for kernel in KERNELS}

    # KVM: asked once, then remembered.
    bench.verify(["small.bpf.o"], [ONE])
    asked, known = [], []
    for _ in range(5):
        bench.forget("accelerator")
        asked.append(bench.verify(["small.bpf.o"], [ONE])[0])
        known.append(bench.verify(["small.bpf.o"], [ONE])[0])
    extra = percentile(asked, 0.5) - percentile(known, 0.5)
    print(f"{'to notice that KVM does not work':44} {extra:6.3f} s the first time         wanted 3, then 0")

    cold = []
    for _ in range(arguments.cold_runs):
        bench.forget("snapshots")
        cold.append(bench.verify(["small.bpf.o"], [ONE])[0])
    show("first verdict of a kernel", cold, "half of vng's or vmtest's")
    for name, command in (
        ("vng", [arguments.vng, "--run", images[ONE], "--disable-kvm", "--", "true"]),
        ("vmtest", [arguments.vmtest, "--kernel", images[ONE], "true"]),
    ):
        if command[0]:
            times, said = peer(command, arguments.cold_runs)
            show(f"{name}: true", times, "-") if times else print(f"{name}: {said}")

    # Once each, so that all are warm: BTF, indexes, snapshots.
    for _ in range(2):
        bench.verify(["small.bpf.o", "core.bpf.o"], KERNELS)
    times = {}
    for _ in range(arguments.runs):
        for kernel in KERNELS:
            for source in ("small", "core"):
                took, _ = bench.verify([f"{source}.bpf.o"], [kernel])
                times.setdefault((source, kernel), []).append(took)
        took, _ = bench.verify(["small.bpf.o"], KERNELS)
        times.setdefault(("small", "all four"), []).append(took)
        took, _ = bench.verify(["core.bpf.o"], KERNELS)
        times.setdefault(("core", "all four"), []).append(took)
    goals = {"small": "0.12, p99 0.3", "core": "0.25"}
    for (source, kernel), taken in sorted(times.items()):
        show(f"{source} on {kernel}", taken, "0.5" if kernel == "all four" else goals[source])

    corpus = sorted(pathlib.Path(arguments.corpus).glob("*.o")) if arguments.corpus else []
    many = bench.dir / "many"
    many.mkdir()
    for number in range(150):
        source = corpus[number % len(corpus)] if corpus else bench.dir / ("small.bpf.o", "core.bpf.o")[number % 2]
        shutil.copy(source, many / f"{number}.bpf.o")
    objects = [str(path) for path in sorted(many.iterdir())]
    took, loads = [], []
    for _ in range(3):
        wall, text = bench.run("verify", "-q", "-k", ONE, "--message-format", "json", *objects, check=False)
        rows = [json.loads(line) for line in text.splitlines()]
        rows = [row for row in rows if row.get("reason") == "program-verdict"]
        took.append(wall)
        loads.append(sum(row.get("load_micros") or 0 for row in rows) / 1e6)
    wall, load = percentile(took, 0.5), percentile(loads, 0.5)
    print(f"{'150 objects':44} {wall:6.2f} s, of which loads {load:.2f} s      wanted {1.1 * load + 0.5:.2f}")
    print(bench.run("kernel", "list")[1])
    shutil.rmtree(bench.dir)


if __name__ == "__main__":
    main()
