#!/usr/bin/env python3
"""What libbpf-tools say without their user programs: the table of
docs/libbpf-tools.md, made here.

    cargo build
    benches/libbpf-tools/sweep.py SOURCE [-k debian/bookworm -k debian/trixie]
        [--skep target/debug/skep] [--keep DIR] [--only TOOL]... [--page FILE]

SOURCE is the directory `libbpf-tools` of bcc (Debian: `apt-get source bpfcc`).
Each tool's `.bpf.c` runs by `skep run` on each kernel, beside one workload
(workload.c, compiled here). A tool speaks if

- one of its events is of a known type and has fields that are not zero, or
- one of the maps or global variables that its own user program reads holds
  something when everything is over, that is not just a stack.

`--keep` keeps what each run wrote, and takes what `--only` leaves out from
there, if it is of an earlier sweep; `--page` replaces the table of a page.
"""

import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

KERNELS = ["debian/bookworm", "debian/trixie"]
ONCE = "workload"
BLOCK = {"modules": ["null_blk"], "exec": "workload block"}
TMPFS = {
    "read": "shmem_file_read_iter",
    "write": "generic_perform_write",
    "open": "generic_file_open",
    "sync": "noop_fsync",
}


def on_tmpfs(*kinds):
    """The tool's user program looks up a file system's functions by its name."""
    places = {**TMPFS, "getattr": "shmem_getattr"}
    attach = []
    for kind in kinds:
        stem = kind if kind == "getattr" else f"file_{kind}"
        attach += [f"{stem}_{end}={places[kind]}" for end in ("fentry", "fexit")]
        attach += [f"{stem}_{end}=none" for end in ("entry", "exit")]
    return attach


def uprobes(function, *programs):
    return [f"{program}=/bring/workload:{function}" for program in programs]


# What a tool's user program says before the load, or needs beside the workload.
MORE = {
    "bashreadline": {"attach": uprobes("readline", "printret")},
    "biolatency": BLOCK,
    "biopattern": BLOCK,
    "biosnoop": BLOCK,
    "biostacks": BLOCK,
    "biotop": BLOCK,
    "bitesize": BLOCK,
    "cachestat": BLOCK,
    "drsnoop": {"exec": "workload oom"},
    "fsdist": {"attach": on_tmpfs("read", "write", "open", "sync", "getattr")},
    "fsslower": {"attach": on_tmpfs("read", "write", "open", "sync")},
    "funclatency": {
        "attach": [
            "dummy_fentry=vfs_read",
            "dummy_fexit=vfs_read",
            "dummy_kprobe=none",
            "dummy_kretprobe=none",
        ]
    },
    "gethostlatency": {
        "attach": uprobes("getaddrinfo", "handle_entry", "handle_return")
    },
    "javagc": {
        "attach": uprobes("hotspot:gc__begin", "handle_gc_start")
        + uprobes("hotspot:gc__end", "handle_gc_end")
        + ["handle_mem_pool_gc_start=none", "handle_mem_pool_gc_end=none"]
    },
    "llcstat": {
        "attach": ["on_cache_miss=cache-misses:100", "on_cache_ref=cache-references:100"]
    },
    "mdflush": {"modules": ["null_blk", "md_mod", "raid0"], "exec": "workload raid"},
    "memleak": {
        "attach": uprobes("malloc", "malloc_enter", "malloc_exit")
        + uprobes("free", "free_enter")
    },
    "oomkill": {"exec": "workload oom"},
    "readahead": {
        **BLOCK,
        "attach": [f"do_page_cache_ra{end}=page_cache_ra_order" for end in ("", "_ret")],
    },
}

# Why nothing is to be expected.
REASONS = {
    "cpufreq": "the machine changes no frequencies",
    "javagc": "libbpf attaches no USDT program of an object without `bpf/usdt.bpf.h`, "
    "with the user program neither",
    "ksnoop": "rejected as compiled with `-mcpu=v3`; and it wants a list of functions that its user "
    "program makes out of BTF",
    "llcstat": "the machine's processor has no counters for its cache",
    "numamove": "the machine has one processor, and moves no pages between nodes",
    ("biostacks", "debian/bookworm"): "this kernel has inlined `blk_account_io_start`, and no tracepoint",
    ("biotop", "debian/bookworm"): "this kernel has inlined `blk_account_io_start`, and no tracepoint",
    ("cpufreq", "debian/trixie"): "rejected as compiled with `-mcpu=v3`; nor does the machine change "
    "frequencies",
}


def read_by_user(source, tool):
    """Maps and variables that the tool's own user program reads."""
    names = set()
    setup = re.compile(r"set_max_entries|set_value_size|set_type|map_update_elem|rodata")
    for line in (source / f"{tool}.c").read_text().splitlines():
        if not setup.search(line):
            names |= set(re.findall(r"\bmaps\.(\w+)", line))
            names |= set(re.findall(r"\bbss->(\w+)", line))
    return {name for name in names if "stack" not in name and name != "heap"}


def alternatives(source, tool):
    """Programs for kernels that do not know another way to the same event,
    where every kernel here does; the user program leaves them out, too."""
    text = (source / f"{tool}.bpf.c").read_text()
    found = re.findall(r'SEC\("(\w+)/(\w+)"\)\s*int\s+(?:BPF_\w+\(\s*)?(\w+)', text)
    events = {way: {event for known, event, _ in found if known == way} for way, _, _ in found}
    newer = {"raw_tp": "tp_btf", "kprobe": "fentry", "kretprobe": "fexit"}
    return [name for way, event, name in found if event in events.get(newer.get(way), ())]


def says(value):
    """Whether a value holds anything."""
    if isinstance(value, dict):
        return any(says(part) for part in value.values())
    if isinstance(value, list):
        return any(says(part) for part in value)
    return value not in (0, "", None, False, "0.0.0.0", "::")


def is_histogram(value):
    if isinstance(value, list):
        return any(is_histogram(part) for part in value)
    if isinstance(value, dict):
        return "slots" in value or any(is_histogram(part) for part in value.values())
    return False


class Run:
    def __init__(self, lines, wanted):
        self.events, self.decoded, self.failed, self.attached = 0, 0, [], 0
        self.maps, self.variables, self.histograms = {}, {}, 0
        self.errors = []
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            reason = row.get("reason")
            if reason == "attached":
                self.attached += row.get("place") is not None
                if row.get("error"):
                    self.failed.append((row["program"], row["error"]))
            elif reason == "event":
                self.events += 1
                value = row["value"]
                self.decoded += isinstance(value, dict) and says(value)
            elif reason == "map-entry" and row.get("last"):
                if row.get("data"):
                    found = row["value"] if isinstance(row["value"], dict) else {}
                    for name, value in found.items():
                        if name in wanted and says(value):
                            self.variables[name] = value
                            self.histograms += is_histogram(value)
                elif row["map"] in wanted and says(row["value"]):
                    self.maps[row["map"]] = self.maps.get(row["map"], 0) + 1
                    self.histograms += is_histogram(row["value"])
            elif reason in ("diagnostic", "finding") or "severity" in row:
                if row.get("severity") == "error" or row.get("level") == "error":
                    self.errors.append(row.get("message", ""))

    def speaks(self):
        return bool(self.decoded or self.maps or self.variables)

    def words(self):
        parts = []
        if self.decoded:
            parts.append(f"events: {self.decoded}")
        if self.histograms:
            parts.append("histogram" if self.histograms == 1 else f"histograms: {self.histograms}")
        elif self.maps:
            parts += [f"`{name}`: {count}" for name, count in sorted(self.maps.items())]
        if self.variables and not self.histograms:
            parts.append(", ".join(f"`{name}`" for name in sorted(self.variables)))
        return "; ".join(parts)


class Sweep:
    def __init__(self, arguments):
        self.source = pathlib.Path(arguments.source).resolve()
        self.skep = os.path.abspath(arguments.skep)
        self.keep = pathlib.Path(arguments.keep).resolve() if arguments.keep else None
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="skep-sweep-"))
        self.here = self.dir / "libbpf-tools"
        # Headers of other architectures, and old ones of the kernel, are of
        # no use: skep makes its own.
        self.here.mkdir()
        for header in [*self.source.glob("*.h"), *self.source.glob("*.bpf.c")]:
            shutil.copy(header, self.here)
        self.workload = self.dir / "workload"
        place = pathlib.Path(__file__).resolve().parent / "workload.c"
        compile = ["gcc", "-w", "-O1", "-static", "-pthread", "-o", self.workload, place]
        subprocess.run(compile, check=True, stderr=subprocess.PIPE)

    def tools(self):
        return sorted(path.name.removesuffix(".bpf.c") for path in self.source.glob("*.bpf.c"))

    def has_kept(self, tool, kernel):
        stem = f"{tool}.{kernel.replace('/', '-')}"
        return bool(self.keep) and (self.keep / f"{stem}.json").exists()

    def kept(self, tool, kernel):
        """What an earlier run wrote."""
        stem = f"{tool}.{kernel.replace('/', '-')}"
        out, err = ((self.keep / f"{stem}.{end}").read_text() for end in ("json", "err"))
        return Run(out.splitlines(), read_by_user(self.source, tool)), err

    def run(self, tool, kernel):
        more = MORE.get(tool, {})
        command = [self.skep, "run", f"{tool}.bpf.c", "-k", kernel, "--message-format", "json"]
        command += ["--exec", more.get("exec", ONCE), "--for", "60s", "--bring", self.workload]
        known = " ".join(more.get("attach", []))
        for name in alternatives(self.source, tool):
            if f"{name}=" not in known:
                command += ["--attach", f"{name}=none"]
        for option, key in (("--module", "modules"), ("--attach", "attach"), ("--set", "set")):
            for value in more.get(key, []):
                command += [option, value]
        try:
            done = subprocess.run(command, cwd=self.here, capture_output=True, timeout=240)
            out, err = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            out, err = "", "it did not end"
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
            stem = self.keep / f"{tool}.{kernel.replace('/', '-')}"
            pathlib.Path(f"{stem}.json").write_text(out)
            pathlib.Path(f"{stem}.err").write_text(err)
        return Run(out.splitlines(), read_by_user(self.source, tool)), err


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source")
    parser.add_argument("-k", "--kernel", action="append")
    parser.add_argument("--skep", default="target/debug/skep")
    parser.add_argument("--keep")
    parser.add_argument("--only", action="append")
    parser.add_argument("--page")
    arguments = parser.parse_args()
    kernels = arguments.kernel or KERNELS
    sweep = Sweep(arguments)
    def chosen(tool):
        return not arguments.only or tool in arguments.only

    rows, count = [], dict.fromkeys(kernels, 0)
    tools = [tool for tool in sweep.tools()
             if chosen(tool) or all(sweep.has_kept(tool, kernel) for kernel in kernels)]
    if arguments.page and len(tools) < len(sweep.tools()):
        parser.error("--page takes all tools: those that --only leaves out were not kept")
    for tool in tools:
        cells = []
        for kernel in kernels:
            run, err = (sweep.run if chosen(tool) else sweep.kept)(tool, kernel)
            count[kernel] += run.speaks()
            said = run.errors or err.strip().splitlines() or ["it said nothing"]
            why = REASONS.get((tool, kernel)) or REASONS.get(tool) or said[-1]
            cells.append(run.words() if run.speaks() else f"nothing: {why}")
            failed = ", ".join(name for name, _ in run.failed)
            print(f"{tool:16} {kernel:18} {cells[-1][:150]}   (attached {run.attached}"
                  f"{', not ' + failed if failed else ''}; {run.events} events)", flush=True)
        rows.append([f"`{tool}`", *cells])
    table = [["tool", *kernels], ["---"] * (len(kernels) + 1), *rows]
    totals = [f"**{count[kernel]} of {len(tools)}**" for kernel in kernels]
    table.append(["speak", *totals])
    text = "".join("| " + " | ".join(row) + " |\n" for row in table)
    print(text)
    if arguments.page:
        page = pathlib.Path(arguments.page)
        before, rest = page.read_text().split("<!-- table -->\n", 1)
        _, after = rest.split("<!-- end -->\n", 1)
        page.write_text(f"{before}<!-- table -->\n{text}<!-- end -->\n{after}")
    shutil.rmtree(sweep.dir, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
