#!/usr/bin/env bash
# The long matrix (`make stress`): the tests of runtime, sync, io, net and stress, plain, with ASan and UBSan and with TSan, each at 1, 2, 4
# and 8 Ps, with and without the fallbacks for older kernels, under so many random seeds of the schedule fuzzer; then the integration
# tests with a gateway under TSan. Every combination is printed with its seed before it runs; the first line of a failure repeats it.
# Hours; bounded by
#
#     SEEDS=20  BUILDS="build build-asan build-tsan"  PROCS="1 2 4 8"  SUITES="runtime sync io net stress"  JOBS=2
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
seeds=${SEEDS:-20} jobs=${JOBS:-2}
read -ra builds <<<"${BUILDS:-build build-asan build-tsan}"
read -ra procs <<<"${PROCS:-1 2 4 8}"
read -ra suites <<<"${SUITES:-runtime sync io net stress}"
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export ASAN_OPTIONS=detect_stack_use_after_return=0:strict_string_checks=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
no_aslr=()
setarch "$(uname -m)" -R true 2>/dev/null && no_aslr=(setarch "$(uname -m)" -R)

configure() {
    [ -e "$1/build.ninja" ] && return
    case $1 in
    *-asan) meson setup "$1" -Dtests=enabled -Db_sanitize=address,undefined ;;
    *-tsan) CC=clang meson setup "$1" -Dtests=enabled -Db_sanitize=thread -Db_lundef=false ;;
    *) meson setup "$1" -Dtests=enabled ;;
    esac
}

for build in "${builds[@]}"; do
    { configure "$build" && ninja -C "$build" -j"$jobs"; } >/tmp/cygnet-stress.$$ 2>&1 || {
        tail -n 40 /tmp/cygnet-stress.$$
        rm -f /tmp/cygnet-stress.$$
        exit 1
    }
done
rm -f /tmp/cygnet-stress.$$

# A million need a plain build: with ASan each stack takes two of the process's mappings.
if [[ ${builds[0]} != *-* ]]; then
    echo "${builds[0]} STRESS_GOROUTINES=1000000 (5 GiB)"
    STRESS_GOROUTINES=1000000 meson test -C "${builds[0]}" --no-rebuild --timeout-multiplier 5 --print-errorlogs million || exit 1
fi

arguments=()
for suite in "${suites[@]}"; do arguments+=(--suite "$suite"); done
ran=0 bad=0
for ((round = 0; round < seeds; round++)); do
    for build in "${builds[@]}"; do
        multiplier=1
        [[ $build == *-* ]] && multiplier=5
        for n in "${procs[@]}"; do
            for debug in "" noguard,nopwait2,noexclusive,nomembarrier; do
                seed=$((RANDOM * 32768 + RANDOM + 1))
                setting=(CYGNET_MAXPROCS="$n" CYGNET_SCHED_FUZZ="$seed" CYGNET_DEBUG="$debug" STRESS_SEED="$seed")
                printf '%s %s ' "$build" "${setting[*]}"
                ran=$((ran + 1)) start=$SECONDS
                if env "${setting[@]}" "${no_aslr[@]}" meson test -C "$build" --no-rebuild --num-processes "$jobs" \
                    --timeout-multiplier "$multiplier" --print-errorlogs "${arguments[@]}" >"$build/stress.log" 2>&1; then
                    printf 'ok %d s\n' $((SECONDS - start))
                else
                    printf 'FAIL %d s\n' $((SECONDS - start))
                    bad=$((bad + 1))
                    cp "$build/stress.log" "$build/stress-$seed.log"
                    sed 's/^/    /' "$build/stress.log" | tail -n 100
                fi
            done
        done
    done
done

# The gateway under TSan, as its clients see it: a sanitizer's report in its log fails the test.
for build in "${builds[@]}"; do
    [[ $build == *-tsan ]] || continue
    echo "$build tests/integration"
    ran=$((ran + 1))
    CYGNET_BUILD=$PWD/$build TSAN_OPTIONS=second_deadlock_stack=1 "${no_aslr[@]}" /usr/bin/python3 -m pytest -q tests/integration || bad=$((bad + 1))
done
printf '%d runs, %d failed\n' "$ran" "$bad"
[ "$bad" -eq 0 ]
