#!/bin/sh
# Lint: what a reader would stumble over and a compiler does not mind.
#
#     tools/lint.sh
#
# Fails on: tabs and trailing space, marks of unfinished work, paths of somebody's machine, a C file without a head comment,
# cppcheck's errors and warnings. Lists, without failing: files over 600 lines, functions over 60.
set -u
cd "$(dirname "$0")/.." || exit 1
failed=0

sources() { git ls-files -co --exclude-standard -- "$@" | sort -u | while read -r f; do [ -f "$f" ] && printf '%s\n' "$f"; done; }

# refuse TITLE LINES: no lines are good.
refuse() {
    [ -n "$2" ] || return 0
    printf '%s:\n%s\n' "$1" "$2"
    failed=1
}

code=$(sources '*.c' '*.h' '*.S')
text=$(sources '*.c' '*.h' '*.S' '*.py' '*.sh' '*.md' '*.build' '*.yaml' '*.go' .ci/run Makefile | grep -v -e /corpus/ -e '^tools/lint.sh$')
tab=$(printf '\t')
# Go and Makefiles are laid out with tabs.
no_tabs=$(printf '%s\n' "$text" | grep -v -e '\.go$' -e '^Makefile$')

# shellcheck disable=SC2086 # lists of files without spaces
{
    refuse "Tabs" "$(grep -n "$tab" $no_tabs)"
    refuse "Trailing space" "$(grep -nE ' +$' $text)"
    refuse "Marks of unfinished work" "$(grep -nwE 'TODO|FIXME|XXX|HACK' $text)"
    refuse "Paths of somebody's machine" "$(grep -nE '(^|[^[:alnum:]./_-])/(home|root|Users|mnt)/[[:alnum:]]' $text)"
    refuse "Files whose first line does not say what they are for" \
        "$(for f in $code; do head -c 2 "$f" | grep -q '^/\*' || echo "$f"; done)"
}

long=$(for f in $code; do wc -l "$f"; done | awk '$1 > 600')
[ -z "$long" ] || printf 'Files over 600 lines (does each hold one idea?):\n%s\n' "$long"

# A function begins where a line at column 0 ends in "{" and holds a parenthesis; it ends at "}" in column 0.
long=$(for f in $(sources 'src/*.c' 'examples/*.c'); do
    awk -v f="$f" '/^[a-zA-Z_].*\).*\{$/ { start = NR; head = $0; next }
        /^\}/ && start { if (NR - start > 60) printf "%4d lines  %s:%d  %s\n", NR - start + 1, f, start, head; start = 0 }' "$f"
done)
[ -z "$long" ] || printf 'Functions over 60 lines (does each hold one idea?):\n%s\n' "$long"

if command -v cppcheck >/dev/null 2>&1; then
    # Known to be wrong here: it does not see into the assembler, nor that a cleanup attribute uses its variable.
    found=$(cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=0 -Iinclude -Isrc \
        --suppress=missingInclude --suppress=unknownMacro --suppress=preprocessorErrorDirective \
        -j "$(nproc 2>/dev/null || echo 2)" --template='{file}:{line}: {severity}: {message} [{id}]' \
        $(sources 'src/*.c' 'examples/*.c') 2>&1 | grep -v 'no C or C++ source files found')
    refuse "cppcheck" "$found"
else
    echo "tools/lint.sh: no cppcheck here (tools/setup.sh check installs it)"
fi

exit $failed
