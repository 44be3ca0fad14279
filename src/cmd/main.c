/* main.c: `cygnet COMMAND …`: finds the command and calls it. A new one is a row of the table and a file of its own. */
#include "cmd/cmd.h"

#include <cygnet/base.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *about;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"gateway", "serve a configuration: cygnet gateway -c FILE", cmd_gateway},
    {"check", "check a configuration without starting anything", cmd_check},
    {"demo", "start a gateway with services behind it, to try things on", cmd_demo},
    {"doctor", "what of this machine, or of a running gateway, will hurt, and the fix", cmd_doctor},
    {"version", "print the version", cmd_version},
};
#define COMMANDS (sizeof commands / sizeof *commands)

static void help(FILE *to) {
    fputs("usage: cygnet COMMAND [OPTIONS]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++) fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].about);
    fputs("\n`cygnet COMMAND --help` tells more.\n", to);
}

int cmd_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    puts("cygnet " CYG_VERSION);
    return 0;
}

static size_t min3(size_t a, size_t b, size_t c) { return a < b ? (a < c ? a : c) : (b < c ? b : c); }

#define WORD 15 /* no command is longer */

/* How many letters must be put in, taken out or changed to make one word of the other (Levenshtein), both cut to WORD. */
static size_t distance(const char *a, const char *b) {
    size_t n = strnlen(a, WORD), m = strnlen(b, WORD), row[WORD + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

static int unknown(const char *word) {
    size_t best = 0;
    for (size_t i = 1; i < COMMANDS; i++)
        if (distance(word, commands[i].name) < distance(word, commands[best].name)) best = i;
    fprintf(stderr, "cygnet: there is no command \"%s\"", word);
    if (distance(word, commands[best].name) <= 3)
        fprintf(stderr, "; did you mean \"%s\"?\n", commands[best].name);
    else
        fputs("; `cygnet --help` lists them\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) return cmd_version(0, NULL);
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
