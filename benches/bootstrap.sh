#!/usr/bin/env bash
# How much CPU time it takes to build the 14 C programs of libbpf-bootstrap
# (`profile` needs cargo and is left out) with make and with skep.
#
# benches/bootstrap.sh SKEP BOOTSTRAP [ROUNDS]
#
# SKEP is a release binary, BOOTSTRAP a checkout with its submodules in which
# `make -C examples/c CARGO=` has been run once, so that its libbpf and bpftool
# are there. All is copied; nothing in it changes. Runs alternate; printed are
# medians in milliseconds and their ratio. LIBRARIES=1 also builds make's
# libraries anew, once.
set -euo pipefail
skep=$(realpath "$1") bootstrap=$(realpath "$2") rounds=${3:-5}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
programs=(minimal minimal_legacy minimal_ns bootstrap bootstrap_legacy uprobe kprobe fentry usdt
	sockfilter tc ksyscall task_iter lsm)
export SKEP_CACHE_DIR=${SKEP_CACHE_DIR:-$work/cache}

cp -a "$bootstrap" "$work/make"
clang=${CLANG:-$(compgen -c clang | grep -Ex "clang(-[0-9]+)?" | sort -V | tail -1)}
make=(make -s -C "$work/make/examples/c" "-j$(nproc)" CARGO= "CLANG=$clang")
"${make[@]}" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }

# The same sources for skep, and our own templates of the same names.
mkdir "$work/same" "$work/own"
for program in "${programs[@]}"; do
	cp "$bootstrap/examples/c/$program".{bpf.c,c} "$work/same"
	"$skep" -q -C "$work/own" new --template "$program" --lang c "$program"
done
cp "$bootstrap"/examples/c/*.h "$work/same"
printf '[package]\nname = "same"\n[bpf]\nsources = ["*.bpf.c"]\n[user]\nkind = "c"\n%s\n' \
	'sources = ["*.c"]' >"$work/same/Skep.toml"
printf '[workspace]\nmembers = ["*"]\n' >"$work/own/Skep.toml"

# CPU time of a command with all its children, in milliseconds.
cpu() {
	local TIMEFORMAT='%U %S' user system
	read -r user system < <({ time "$@" >"$work/log" 2>&1; } 2>&1)
	awk -v u="$user" -v s="$system" 'BEGIN { printf "%.0f\n", (u + s) * 1000 }'
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# compare NAME PREPARE-MAKE PREPARE-SKEP DIRECTORY: makes both ready and times
# both, in turns.
compare() {
	: >"$work/a"; : >"$work/b"
	for round in $(seq "$rounds"); do
		"$2" "$round"; cpu "${make[@]}" >>"$work/a"
		"$3" "$round"; cpu "$skep" -C "$4" build >>"$work/b"
	done
	local a b
	a=$(median "$work/a") b=$(median "$work/b")
	awk -v n="$1" -v a="$a" -v b="$b" \
		'BEGIN { printf "%-42s %8d %8d %8.3f\n", n, a, b, b / a }'
}

clean_make() { (cd "$work/make/examples/c" && rm -f .output/*.o .output/*.skel.h "${programs[@]}"); }
clean_same() { rm -rf "$work/same/target"; }
clean_own() { rm -rf "$work/own/target"; }
# Another variable each time changes the skeleton; a comment behind it all does
# not even change the object.
variable() { sed -i '/^int touched/d' "$1"; echo "int touched$2 = $2;" >>"$1"; }
comment() { echo "/* $2 */" >>"$1"; }
bpf=bootstrap.bpf.c
grow_make() { variable "$work/make/examples/c/$bpf" "$1"; }
grow_same() { variable "$work/same/$bpf" "$1"; }
talk_make() { comment "$work/make/examples/c/$bpf" "$1"; }
talk_same() { comment "$work/same/$bpf" "$1"; }
nothing() { :; }

"$skep" -C "$work/same" build >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
"$skep" -C "$work/own" build >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
printf '%-42s %8s %8s %8s\n' '' make skep ratio
compare 'clean, libraries there' clean_make clean_same "$work/same"
compare 'clean, our templates of these names' clean_make clean_own "$work/own"
compare 'one BPF file, skeleton changed' grow_make grow_same "$work/same"
compare 'one BPF file, skeleton unchanged' talk_make talk_same "$work/same"
compare 'nothing to do' nothing nothing "$work/same"
if [ "${LIBRARIES:-}" ]; then
	"${make[@]}" clean >"$work/log"
	whole=$(cpu "${make[@]}")
	clean_same
	own=$(cpu "$skep" -C "$work/same" build)
	awk -v a="$whole" -v b="$own" \
		'BEGIN { printf "%-42s %8d %8d %8.3f\n", "clean, with libraries", a, b, b / a }'
fi
