/* run.c: every case of the table: whole, and every beginning of it; and what was taken, written and read again.
 *
 *     conformance_proxy                      runs the table
 *     conformance_proxy --corpus DIRECTORY   writes the inputs as corpus files for the fuzz target instead
 */
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>

static bool run_case(const struct proxy_case *c) {
    static const char *const verdicts[] = {"taken", "more wanted", "refused"};
    static struct proxy_result r;
    proxy_drive(&r, c->bytes, c->n);
    const char *broken = r.broken ? r.broken : proxy_drive_growing(c->bytes, c->n);
    if (!broken) broken = proxy_drive_written(c->bytes, c->n);
    if (!broken && r.verdict == c->verdict && strcmp(r.text, c->text) == 0) return true;
    printf("FAIL %s: %s\n  wanted %s \"%s\"\n  got    %s \"%s\"\n", c->name, broken ? broken : "not as wanted",
           verdicts[c->verdict], c->text, verdicts[r.verdict], r.text);
    return false;
}

static void write_corpus(const struct proxy_case *c, const char *directory) {
    char path[512], name[128];
    size_t n = strlen(c->name) < sizeof name ? strlen(c->name) : sizeof name - 1;
    for (size_t i = 0; i < n; i++) name[i] = strchr(" /:*,.;()\"'", c->name[i]) ? '_' : c->name[i];
    name[n] = 0;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(c->bytes, 1, c->n, f) != c->n || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv) {
    const struct proxy_cases *const tables[] = {&proxy_v1_cases, &proxy_v2_cases};
    unsigned n = 0, failed = 0;
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; i < tables[t]->n; i++, n++) {
            if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
                write_corpus(&tables[t]->cases[i], argv[2]);
            else
                failed += !run_case(&tables[t]->cases[i]);
        }
    printf("%u cases, %u failed\n", n, failed);
    return failed > 0;
}
