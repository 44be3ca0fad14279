#!/bin/sh
# Installs what is missing for a purpose, on Debian and its kin; silent when nothing is.
#
#     tools/setup.sh run|test|check|bench ...
#
# Each need is a line of the table below: what shows that it is there, the Debian package, what it is for. On other systems
# nothing is installed: what is missing is listed, and the exit status is 1.
set -u

needs() {
    case $1 in
    run)
        need 'command -v cc'                     gcc            'C compiler (gcc 12 or clang 14 and later)'
        need 'test -f /usr/include/stdio.h'      libc6-dev      'headers of the C library'
        need 'command -v make'                   make           'the everyday commands'
        need 'command -v meson'                  meson          'build description (1.0 and later)'
        need 'command -v ninja'                  ninja-build    'runs the build'
        need 'command -v pkg-config'             pkg-config     'finds libraries'
        need 'pkg-config --exists libcares'      libc-ares-dev  'c-ares, asks name servers'
        need 'pkg-config --exists yaml-0.1'      libyaml-dev    'libyaml, reads the gateway'\''s configuration'
        need 'pkg-config --exists libdw'         libdw-dev      'names and lines in /debug/goroutines and other dumps'
        ;;
    test)
        needs run
        need 'command -v g++'                    g++            'the headers are compiled as C++ too'
        need 'pkg-config --exists cmocka'        libcmocka-dev  'unit tests'
        need "$python -c 'import pytest'"        python3-pytest 'integration tests'
        need 'command -v nginx'                  nginx          'a real peer'
        need 'command -v haproxy'                haproxy        'a real peer'
        need 'test -f /usr/lib/nginx/modules/ngx_stream_module.so' libnginx-mod-stream 'a real peer for TCP'
        need 'command -v socat'                  socat          'a real peer for TCP and UDP'
        need 'command -v ncat'                   ncat           'another one'
        need 'command -v dig'                    bind9-dnsutils 'dig, a real client for UDP'
        need 'command -v curl'                   curl           'a real client'
        need 'command -v dnsmasq'                dnsmasq-base   'a real name server'
        need 'command -v wrk'                    wrk            'load'
        need 'command -v promtool'               prometheus     'promtool, checks the metrics'\'' text'
        need 'test -f /usr/include/x86_64-linux-gnu/sys/sdt.h || test -f /usr/include/sys/sdt.h' systemtap-sdt-dev 'trace points of the scheduler'
        need 'command -v readelf'                binutils       'looks for them in the library'
        need 'command -v go'                     golang-go      'go tool pprof reads our profiles; the pitfalls that are Go'\''s'
        need 'command -v strace'                 strace         'counts system calls'
        need 'command -v gdb'                    gdb            'looks at goroutines'
        need 'command -v ps'                     procps         'looks at threads and limits'
        need 'command -v spin'                   spin           'checks the models of the runtime'\''s protocols'
        need 'command -v ss'                     iproute2       'looks at sockets'
        ;;
    check)
        needs test
        need 'command -v git'                    git            'knows which files are the project'\''s'
        need 'command -v clang'                  clang          'the second compiler, TSan and libFuzzer'
        need 'ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer*' libclang-rt-14-dev 'run-time parts of clang'\''s sanitizers'
        need 'command -v llvm-symbolizer'        llvm           'names in sanitizer reports'
        need 'command -v clang-format'           clang-format   'layout'
        need 'command -v cppcheck'               cppcheck       'lint'
        need 'command -v aarch64-linux-gnu-gcc'  gcc-aarch64-linux-gnu  'compiles for aarch64'
        need 'test -d /usr/aarch64-linux-gnu/include' libc6-dev-arm64-cross 'C library for aarch64'
        need 'command -v gdb-multiarch'          gdb-multiarch  'looks at goroutines on aarch64'
        need 'command -v perf'                   linux-perf     'samples chains of calls'
        need 'command -v qemu-aarch64 || command -v qemu-aarch64-static' qemu-user 'runs what was compiled for aarch64'
        ;;
    bench)
        needs run
        need "$python -c 'import json'"          python3        'bench scripts'
        need 'command -v go'                     golang-go      'a peer: Go'\''s net/http'
        need 'pkg-config --exists liburing'      liburing-dev   'bench/micro/file_ways.c: io_uring beside cyg_blocking'
        need 'test -f /usr/include/st.h'         libst-dev      'a peer: State Threads'
        need 'test -f /usr/include/pth.h'        libpth-dev     'a peer: GNU Pth'
        need 'command -v nginx'                  nginx          'a peer'
        need 'test -e /usr/lib/nginx/modules/ngx_stream_module.so' libnginx-mod-stream 'a peer: nginx as a TCP relay'
        need 'command -v haproxy'                haproxy        'a peer'
        need 'command -v wrk'                    wrk            'load'
        need 'command -v taskset'                util-linux     'pins CPUs'
        need 'command -v ip'                     iproute2       'sets the congestion control of loopback'
        need 'command -v perf'                   linux-perf     'counts system calls in the kernel'
        ;;
    *)
        echo "tools/setup.sh: no purpose '$1'; there are run, test, check, bench" >&2
        exit 2
        ;;
    esac
}

missing=
table=
need() {
    sh -c "$1" >/dev/null 2>&1 && return
    case " $missing " in *" $2 "*) return ;; esac
    missing="$missing $2"
    table="$table$(printf '  %-20s %s' "$2" "$3")
"
}

# Debian's own Python: that is where its python3-pytest goes, whatever else stands first in PATH.
python=python3
[ -x /usr/bin/python3 ] && python=/usr/bin/python3
PATH=$PATH:/usr/sbin:/sbin

[ $# -gt 0 ] || set -- run
for purpose in "$@"; do
    needs "$purpose"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    printf 'Needed for %s and not found (named as Debian names the packages):\n%s' "$*" "$table" >&2
    echo "Install them with your system's own tools and run this again." >&2
    exit 1
fi

sudo=
if [ "$(id -u)" != 0 ]; then
    sudo=sudo
    if ! command -v sudo >/dev/null 2>&1; then
        printf 'Needed for %s and not found:\n%s' "$*" "$table" >&2
        echo "As root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
fi

printf 'Installing for %s:\n%s' "$*" "$table"

# Peers are programs to test against, not services of this machine: policy-rc.d (101: "not allowed") keeps their packages
# from starting them, and goes away again however this ends. One that the machine has already is left as it is.
policy=/usr/sbin/policy-rc.d
made_policy=
cleanup() {
    [ -z "$made_policy" ] || $sudo rm -f "$policy"
    made_policy=
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null && $sudo chmod 755 "$policy" || exit 1
fi

apt() {
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 "$@" </dev/null
}
log=$(mktemp) || exit 1
# shellcheck disable=SC2086 # a list of package names
if ! { apt update && apt install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    rm -f "$log"
    echo "tools/setup.sh: apt-get failed; the packages were:$missing" >&2
    exit 1
fi
rm -f "$log"

# Nor at the next boot: only those that came in just now.
for service in nginx haproxy prometheus; do
    case " $missing " in
    *" $service "*) $sudo update-rc.d "$service" disable >/dev/null 2>&1 || : ;;
    esac
done
cleanup

wanted=$missing
missing=
table=
for purpose in "$@"; do
    needs "$purpose"
done
if [ -n "$missing" ]; then
    printf 'Installed%s, yet these are still not usable:\n%s' "$wanted" "$table" >&2
    exit 1
fi
