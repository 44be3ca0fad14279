/* check.c: `cygnet check -c FILE` says whether the gateway would take a configuration, and if not, everything that is wrong with
 * it. It opens nothing but the file, so it runs anywhere, also before a commit.
 */
#include "cmd/cmd.h"

#include "gateway/config.h"
#include "gateway/config_reference.h"

#include <getopt.h>
#include <stdio.h>

static const char usage[] = "usage: cygnet check -c FILE\n"
                            "Checks a gateway configuration ('-': standard input) without starting anything.\n"
                            "Exit status: 0 if it is right, 1 if not, 2 for a wrong call.\n";

static void print_count(size_t n, const char *one, const char *before) {
    printf("%s%zu %s%s", before, n, one, n == 1 ? "" : "s");
}

static int report_problems(const struct cyg_gw_problems *problems) {
    for (size_t i = 0; i < problems->n; i++) fprintf(stderr, "%s\n", problems->items[i].text);
    size_t n = problems->n + problems->dropped;
    fprintf(stderr, "%zu problem%s", n, n == 1 ? "" : "s");
    if (problems->dropped) fprintf(stderr, " (%zu of them not shown)", problems->dropped);
    fputs("\n", stderr);
    return 1;
}

static int check_file(const char *path) {
    struct cyg_gw_config *c = NULL;
    struct cyg_gw_problems problems = {0};
    int err = cyg_gw_config_load(path, &c, &problems);
    int status = 0;
    if (err == CYG_EPARSE) {
        status = report_problems(&problems);
    } else if (err < 0) {
        (void)cyg_fail(path, err);
        status = 1;
    } else {
        printf("%s: version %s: ", c->source.p, c->version.p);
        print_count(c->nlisteners, "listener", "");
        print_count(c->nroutes, "route", ", ");
        print_count(c->nclusters, "cluster", ", ");
        print_count(c->nendpoints, "endpoint", ", ");
        puts(": ok");
    }
    cyg_gw_config_free(c);
    cyg_gw_problems_free(&problems);
    return status;
}

int cmd_check(int argc, char **argv) {
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},
        {"reference", no_argument, NULL, 'r'}, /* writes docs/reference/config.md */
        {0},
    };
    const char *path = NULL;
    optind = 1;
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (o) {
        case 'c': path = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        case 'r': cyg_gw_config_reference(stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (!path || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    return check_file(path);
}
