#!/usr/bin/env bash
# Builds for 64-bit ARM with Debian's cross compilers, and runs what depends on the processor under
# emulation: the tests of the kernels, the golden tests, and a server that scores its self-test
# texts in int8.
#
# Needs Debian (12 or later) or a derivative with its packages of Rust; as root it installs those
# that are missing. The first run takes minutes; target/arm keeps what was built.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target=aarch64-unknown-linux-gnu
packages=(
    rustc-web cargo-web "libstd-rust-web-dev:arm64" "libc6:arm64"
    gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross
    qemu-user-static python3
)

main() {
    install_packages
    set_environment
    # Both test binaries and the program at once, so that both cores have work.
    cargo_web test --no-run --lib --test it
    # ARMv8.0 without any extension, as in a Raspberry Pi 4: what the compiler may take for granted.
    QEMU_CPU=cortex-a72 run_tests --lib -- model::ops::
    # The 11,000 tokens of the default model's longer texts would take an hour in emulated floating
    # point; its short ones and its self-test texts take two minutes. That scores are the same to the
    # bit in any batch is seen with the tiny model.
    QEMU_CPU=cortex-a72 run_tests --test it -- golden:: \
        --skip the_embedded_model_gives_the_ids_and_logits_of_transformers_for_longer_texts \
        --skip a_window_of_the_embedded_model
    # Every extension that the emulator knows: what is chosen where a processor has more.
    QEMU_CPU=max python3 scripts/arm/serve_once.py models/moderato-small/self_test.jsonl \
        qemu-aarch64-static "target/arm/$target/debug/moderato" serve --dtype int8
}

install_packages() {
    local missing=() package
    command -v dpkg-query >/dev/null || fail "this is not Debian or a derivative of it"
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    if ((${#missing[@]} == 0)); then
        return
    fi
    ((EUID == 0)) || fail "missing packages: install ${missing[*]}, or run this as root"
    dpkg --add-architecture arm64
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
        >/dev/null || fail "apt-get cannot install ${missing[*]}"
}

is_installed() {
    [[ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

# Debian's compiler lies beside that of rustup, which may come first in the PATH.
set_environment() {
    export RUSTC=/usr/bin/rustc
    export CARGO_TARGET_DIR=target/arm
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=qemu-aarch64-static
    export CARGO_PROFILE_DEV_DEBUG=false CARGO_INCREMENTAL=0
    # The programs run on libc6:arm64. With the C library of the cross compiler as a prefix, the
    # emulator would take the dynamic loader from there and the rest from libc6:arm64, of another
    # version: the first thread never starts.
    unset QEMU_LD_PREFIX RUSTFLAGS RUSTC_WRAPPER RUSTUP_TOOLCHAIN
}

# The development profile, with less optimisation of what takes longest to compile.
cargo_web() {
    local crate lighter=()
    for crate in candle-core candle-nn moderato tokenizers; do
        lighter+=(--config "profile.dev.package.$crate.opt-level=1")
    done
    /usr/bin/cargo "$1" --locked --target "$target" "${lighter[@]}" "${@:2}"
}

# A filter that matches no test would succeed.
run_tests() {
    local log
    log=$(mktemp)
    cargo_web test "$@" | tee "$log"
    if ! grep --quiet '^test result: ok\. [1-9]' "$log"; then
        rm -f "$log"
        fail "no test ran: $*"
    fi
    rm -f "$log"
}

fail() {
    printf 'arm/check.sh: %s\n' "$1" >&2
    exit 1
}

main "$@"
