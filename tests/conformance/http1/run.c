/* run.c: every case of the table: whole, byte by byte, and cut in two at every place, from a buffer that moves each time.
 *
 *     conformance_http1                      runs the table
 *     conformance_http1 --corpus DIRECTORY   writes the inputs as corpus files for the fuzz targets instead
 */
#include "cases.h"
#include <stdio.h>
#include <stdlib.h>

static const struct cyg_h1_limits limits = {.max_head = 512, .max_target = 128, .max_fields = 8};
static struct drive_result whole, cut;
static unsigned failed;

static void complain(const struct http1_case *c, const char *how, const char *what, const struct drive_result *got) {
    failed++;
    printf("FAIL %s (%s): %s\n  wanted verdict %d status %d reason \"%s\" facts \"%s\"\n", c->name, how, what,
           c->verdict, c->status, c->reason, c->facts);
    printf("  got    verdict %d status %d reason \"%s\" facts \"%s\"\n", got->verdict, got->status, got->reason, got->facts);
}

/* Whether each word of `wanted` is a word of `facts`. */
static bool facts_hold(const char *wanted, const char *facts) {
    while (*wanted) {
        size_t n = strcspn(wanted, " ");
        bool found = false;
        for (const char *f = facts; *f && !found; f += strcspn(f, " "), f += *f == ' ')
            found = strcspn(f, " ") == n && memcmp(f, wanted, n) == 0;
        if (!found) return false;
        wanted += n;
        wanted += *wanted == ' ';
    }
    return true;
}

static bool as_wanted(const struct http1_case *c, const struct drive_result *r) {
    return r->verdict == c->verdict && r->status == c->status && strcmp(r->reason, c->reason) == 0 &&
           facts_hold(c->facts, r->facts);
}

static void run_case(const struct http1_case *c) {
    drive(&whole, c->kind, &limits, c->bytes, c->n, c->n, 1);
    if (whole.broken) complain(c, "whole", whole.broken, &whole);
    if (!as_wanted(c, &whole)) {
        complain(c, "whole", "not as wanted", &whole);
        return;
    }
    drive(&cut, c->kind, &limits, c->bytes, c->n, 1, 1);
    if (cut.broken || !drive_same(&whole, &cut))
        complain(c, "byte by byte", cut.broken ? cut.broken : "not as in one piece", &cut);
    for (size_t at = 0; at < c->n; at++) {
        char how[32];
        snprintf(how, sizeof how, "cut at %zu", at);
        drive(&cut, c->kind, &limits, c->bytes, c->n, at, c->n);
        if (cut.broken || !drive_same(&whole, &cut))
            complain(c, how, cut.broken ? cut.broken : "not as in one piece", &cut);
    }
}

/* Heads carry their kind as a first byte, as the fuzz target for them reads it. */
static void write_corpus(const struct http1_case *c, const char *directory) {
    static const char kinds[] = "qrhc";
    char path[512], name[128];
    size_t n = strlen(c->name) < sizeof name ? strlen(c->name) : sizeof name - 1;
    for (size_t i = 0; i < n; i++) name[i] = strchr(" /:*,.;()\"'", c->name[i]) ? '_' : c->name[i];
    name[n] = 0;
    bool chunked = c->kind == DRIVE_CHUNKED;
    snprintf(path, sizeof path, "%s/http1_%s/%s", directory, chunked ? "chunked" : "head", name);
    FILE *f = fopen(path, "wb");
    if (!f) {
        perror(path);
        exit(1);
    }
    if (!chunked) fputc(kinds[c->kind], f);
    fwrite(c->bytes, 1, c->n, f);
    fclose(f);
}

int main(int argc, char **argv) {
    const struct http1_cases *const tables[] = {&http1_request_cases, &http1_response_cases, &http1_chunked_cases};
    size_t n = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t]->n; i++, n++) {
            if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
                write_corpus(&tables[t]->cases[i], argv[2]);
            else
                run_case(&tables[t]->cases[i]);
        }
    }
    printf("%zu cases, %u failures\n", n, failed);
    return failed > 0;
}
