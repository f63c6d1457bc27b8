#!/bin/sh
# Makes sure that what the build needs beside a Rust toolchain, gcc and make is there: libclang, from which the
# binding of the database library is generated. Installs it with apt where that is possible, and says what to do
# where it is not.
set -eu

# The C interface; a machine can have libclang-cpp, the C++ interface, alone.
has_libclang() {
    {
        ldconfig -p 2>/dev/null || true
        ls "${LIBCLANG_PATH:-/nowhere}"/libclang*.so* /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang-*.so* \
            /usr/lib64/libclang*.so* 2>/dev/null || true
    } | grep 'libclang[-.]' | grep -qv 'libclang-cpp'
}

for tool in cargo cc make; do
    if ! command -v "$tool" >/dev/null 2>&1; then
        echo "error: $tool is missing; install it first (a Rust toolchain from rustup, gcc and make)" >&2
        exit 1
    fi
done

has_libclang && exit 0
echo "libclang is missing; installing it"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1; then as_root="sudo"; else
        echo "error: install libclang (Debian: apt-get install libclang-dev) and run this again" >&2
        exit 1
    fi
fi
if ! command -v apt-get >/dev/null 2>&1; then
    echo "error: install libclang with your package manager and run this again" >&2
    exit 1
fi
$as_root apt-get update -qq
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends libclang-dev >/dev/null
has_libclang || { echo "error: libclang-dev was installed but no libclang is found" >&2; exit 1; }
