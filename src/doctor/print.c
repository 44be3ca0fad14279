/* print.c: findings for a person, at a glance on 96 columns; and the reference page. */
#include "doctor/doctor.h"

#include <string.h>

#define WIDTH 96
#define INDENT 6

/* Text in lines of WIDTH, each indented. */
static void wrap(FILE *out, const char *text) {
    size_t n = strlen(text);
    while (n > 0) {
        size_t take = n;
        if (n > WIDTH - INDENT) {
            take = WIDTH - INDENT;
            while (take > 0 && text[take] != ' ') take--;
            if (take == 0) take = strcspn(text, " "); /* a word longer than a line stands alone */
        }
        fprintf(out, "%*s%.*s\n", INDENT, "", (int)take, text);
        text += take;
        while (*text == ' ') text++;
        n = strlen(text);
    }
}

static void print_one(FILE *out, const struct doc_finding *f) {
    fprintf(out, "%-5s %-26s %s\n", doc_verdict_name(f->verdict), f->check->name, f->value);
    wrap(out, f->cost);
    if (f->fix[0]) fprintf(out, "%*sfix: %s\n", INDENT, "", f->fix);
}

static void print_names(FILE *out, const struct doc_finding *f, size_t n, enum doc_verdict v) {
    size_t column = 0;
    for (size_t i = 0; i < n; i++) {
        if (f[i].verdict != v) continue;
        size_t len = strlen(f[i].check->name) + 1;
        if (column == 0 || column + len > WIDTH) {
            fprintf(out, "%s%-5s", column ? "\n" : "", column ? "" : doc_verdict_name(v));
            column = 5;
        }
        fprintf(out, " %s", f[i].check->name);
        column += len;
    }
    if (column) fputs("\n", out);
}

void doc_print(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n, bool all) {
    size_t count[4] = {0}, applicable = 0;
    for (size_t i = 0; i < n; i++) {
        count[f[i].verdict]++;
        applicable += f[i].verdict >= DOC_NOTE && f[i].sysctl[0];
        if (all || f[i].verdict >= DOC_NOTE) print_one(out, &f[i]);
    }
    if (!all) print_names(out, f, n, DOC_UNKNOWN);
    if (!all) print_names(out, f, n, DOC_OK);
    fprintf(out, "\n%zu bad, %zu note%s, %zu ok", count[DOC_BAD], count[DOC_NOTE], count[DOC_NOTE] == 1 ? "" : "s",
            count[DOC_OK]);
    if (count[DOC_UNKNOWN]) fprintf(out, ", %zu unknown", count[DOC_UNKNOWN]);
    if (m->seconds > 0) fprintf(out, "; watched for %.0f s", m->seconds);
    fputs(".\n", out);
    if (!all) fputs("--all: the others, too.", out);
    if (applicable)
        fprintf(out, "%s%zu of the fixes can be written by cygnet doctor --apply%s.", all ? "" : " ", applicable,
                m->uid == 0 ? "" : " (as root)");
    if (!all || applicable) fputs("\n", out);
}

/* ---- docs/reference/doctor.md ------------------------------------------------------------------------------------------- */

static void cell(FILE *out, const char *text) {
    for (; *text; text++) {
        if (*text == '|') fputs("\\", out);
        fputc(*text, out);
    }
}

void doc_print_reference(FILE *out) {
    fputs("# What cygnet doctor looks at\n\n"
          "<!-- Written by `cygnet doctor --reference`; change src/doctor/check_*.c instead. -->\n\n"
          "How to use it: [guide/doctor.md](../guide/doctor.md). Counters of `/proc/net/netstat` are named as there "
          "(`TcpExt …`). A value that cannot be\n"
          "read is `unknown`, which is not bad.\n\n"
          "## The machine, and what a process may use of it\n\n"
          "| check | what it is | read from | verdict, otherwise ok |\n|---|---|---|---|\n",
          out);
    for (int gateway = 0; gateway < 2; gateway++) {
        if (gateway)
            fputs("\n## A running gateway, with `--admin URL`\n\n"
                  "| check | what it is | read from | verdict, otherwise ok |\n|---|---|---|---|\n",
                  out);
        for (size_t i = 0; i < doc_nchecks; i++) {
            const struct doc_check *c = doc_checks[i];
            if (c->of_gateway != (gateway == 1)) continue;
            fprintf(out, "| `%s` | ", c->name);
            cell(out, c->what);
            fputs(" | ", out);
            cell(out, c->reads);
            fputs(" | ", out);
            cell(out, c->rule);
            fputs(" |\n", out);
        }
    }
}
