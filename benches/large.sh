#!/bin/bash
# Links one large object file with minild (through the crate, as whole processes) and with the linkers that are here:
# 100,000 functions in sections of their own, 1,000,000 relocations, 100 MB of code. docs/MEASUREMENTS.md says what came
# out, and on which machine.
#
# usage: benches/large.sh [FUNCTIONS]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
functions=${1:-100000}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

awk -v functions="$functions" 'BEGIN {
    for (i = 0; i < functions; i++) {
        printf ".section .text.f%d, \"ax\"\n.globl f%d\n.type f%d, @function\nf%d:\n", i, i, i, i
        for (j = 0; j < 9; j++) printf "call f%d\n", (i * 7 + j * 31 + 1) % functions
        printf "lea d%d(%%rip), %%rax\n.fill 972, 1, 0x90\n.size f%d, .-f%d\n", i % 1000, i, i
    }
    print ".data"
    for (i = 0; i < 1000; i++) printf ".globl d%d\nd%d: .quad %d\n", i, i, i
    print ".text\n.globl _start\n_start: mov $60, %eax\nmov $42, %edi\nsyscall"
}' >"$folder/large.s"
llvm-mc -triple x86_64-linux-gnu -filetype=obj -o "$folder/large.o" "$folder/large.s"
rm "$folder/large.s"

cargo build --release --bench large
large=$(ls -t "${CARGO_TARGET_DIR:-target}"/release/deps/large-* | grep -v '\.d$' | head -1)
measure() {
    local output=$1
    shift
    for _ in 1 2 3; do
        rm -f "$output"
        /usr/bin/env time --format="%e s, %U s of user, %M KiB at most: $1" "$@" >/dev/null
    done
    "$output" || [ $? = 42 ] || { echo "what $1 linked does not run" >&2; exit 1; }
}
"$large" "$folder/large.o" "$folder/minild"
measure "$folder/minild" "$large" "$folder/large.o" "$folder/minild"
for linker in ld ld.lld ld.mold; do
    if command -v "$linker" >/dev/null; then
        measure "$folder/$linker" "$linker" "$folder/large.o" -o "$folder/$linker"
    fi
done
wc --bytes "$folder"/*
