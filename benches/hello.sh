#!/bin/bash
# Times `minild build samples/hello.toml` against GNU ld and lld on an equal object, as whole processes, and
# counts their instructions. docs/MEASUREMENTS.md says what came out, and on which machine.
#
# usage: benches/hello.sh [MINILD…]      default: what `cargo build --release` makes
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
for command in hyperfine valgrind llvm-mc ld ld.lld; do
    command -v "$command" >/dev/null || { echo "needs $command" >&2; exit 1; }
done
if [ $# -eq 0 ]; then
    cargo build --release
    set -- "${CARGO_TARGET_DIR:-target}/release/minild"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What samples/hello.toml says: one constant, one function, both named.
llvm-mc -triple x86_64-linux-gnu -filetype=obj -o "$folder/hello.o" - <<'ASSEMBLY'
        .intel_syntax noprefix
        .section .rodata, "a"
        .globl message
        .type message, @object
message:
        .ascii "Hello, world!\n"
        .size message, . - message
        .text
        .globl _start
        .type _start, @function
_start:
        mov     eax, 1
        mov     edi, 1
        lea     rsi, [rip + message]
        mov     edx, 14
        syscall
        mov     eax, 60
        mov     edi, 42
        syscall
        .size _start, . - _start
ASSEMBLY

commands=()
for minild in "$@"; do
    commands+=("$minild build samples/hello.toml --target x86_64-linux -o $folder/hello.minild")
done
commands+=(
    "ld $folder/hello.o -o $folder/hello.ld"
    "ld.lld $folder/hello.o -o $folder/hello.lld"
)
for minild in "$@"; do
    $minild build samples/hello.toml --target x86_64-linux -o "$folder/hello.minild"
    $minild lint "$folder/hello.minild"
done
hyperfine --shell=none --warmup 50 --runs 1000 "${commands[@]}"
for command in "${commands[@]}"; do
    # shellcheck disable=SC2086 # words of a command
    instructions=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null $command 2>&1 | sed -n 's/.*Collected : //p')
    echo "$instructions instructions: ${command%% *}"
done
wc --bytes "$folder"/hello.*
