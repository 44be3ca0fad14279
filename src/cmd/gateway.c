/* gateway.c: `cygnet gateway -c FILE` serves a configuration in the foreground until it is told to end. */
#include "cmd/cmd.h"

#include "gateway/gateway.h"

#include <cygnet/runtime.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

static const char usage[] =
    "usage: cygnet gateway -c FILE\n"
    "Serves the configuration in FILE ('-': standard input). It stays in the foreground; what happens\n"
    "to it goes to standard error.\n"
    "Signals: HUP reads FILE again and opens the access log anew; TERM and INT drain and end;\n"
    "a second TERM or INT ends at once; QUIT writes all goroutines to standard error.\n"
    "Exit status: 0 after a drain, 1 if it could not start or was ended at once, 2 for a wrong call.\n";

/* argv[0]: the file; argv[1]: what a reload reads, or NULL. The configuration was checked before the runtime began. */
static struct cyg_gw_config *config;

static int serve(int argc, char **argv) {
    (void)argc;
    struct cyg_gw *gw;
    if (cyg_gw_start(config, strcmp(argv[0], "-") == 0 ? NULL : argv[0], &gw) < 0) return 1;
    int status = cyg_gw_run(gw);
    cyg_gw_free(gw);
    return status;
}

static int load(const char *path) {
    struct cyg_gw_problems problems = {0};
    int err = cyg_gw_config_load(path, &config, &problems);
    for (size_t i = 0; i < problems.n; i++) fprintf(stderr, "%s\n", problems.items[i].text);
    if (problems.dropped) fprintf(stderr, "and %zu more problems\n", problems.dropped);
    if (err < 0 && err != CYG_EPARSE) (void)cyg_fail(path, err);
    cyg_gw_problems_free(&problems);
    return err;
}

int cmd_gateway(int argc, char **argv) {
    static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'}, {0}};
    char *path = NULL;
    optind = 1;
    for (int o; (o = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (o) {
        case 'c': path = optarg; break;
        case 'h': fputs(usage, stdout); return 0;
        default: fputs(usage, stderr); return 2;
        }
    }
    if (!path || optind < argc) {
        fputs(usage, stderr);
        return 2;
    }
    if (load(path) < 0) return 1;
    return cyg_main(serve, 1, &path);
}
