/* doctor.c: `cygnet doctor`: what of this machine, or of a running gateway, will hurt, and how to change it. The checks are in
 * src/doctor; here are the options and the order of things.
 */
#include "cmd/cmd.h"

#include "doctor/doctor.h"
#include "doctor/gateway.h"

#include <cygnet/runtime.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
    "usage: cygnet doctor [OPTIONS]\n"
    "Reads kernel and process limits and says what they cost, what is bad, and the fix. Changes nothing unless told "
    "to.\n"
    "  --admin URL     look at a running gateway too (http://127.0.0.1:9901); what hurts now comes first\n"
    "  --watch SECONDS compare counters over so long (0 to 3600; with --admin 2, otherwise 0)\n"
    "  --only NAME     this check alone; may be given again\n"
    "  --all           say what those that are ok cost, too\n"
    "  --json          for programs\n"
    "  --apply         write the sysctls that the fixes propose (as root); what was there is noted first\n"
    "  --undo          put back what --apply changed\n"
    "  --dry-run       with --apply or --undo: say what would be written\n"
    "  --state FILE    where --apply notes what was there (/var/lib/cygnet/doctor.undo)\n"
    "  --list          the names of the checks\n"
    "Exit status: 0 nothing is bad, 1 something is, 2 a wrong call, 3 something could not be read or written.\n";

enum { GOOD, BAD, WRONG, FAILED };
enum { APPLY = 1, UNDO, LIST };

struct options {
    const char *admin, *state, *root;
    cyg_addr to; /* of admin */
    double watch;
    const char **only; /* room for as many as there are arguments */
    size_t nonly;
    int action;
    bool all, json, dry;
};

static void list(void) {
    for (size_t i = 0; i < doc_nchecks; i++) printf("%-26s %s\n", doc_checks[i]->name, doc_checks[i]->what);
}

static bool known(const char *name) {
    for (size_t i = 0; i < doc_nchecks; i++)
        if (strcmp(doc_checks[i]->name, name) == 0) return true;
    return false;
}

/* ---- changing ------------------------------------------------------------------------------------------------------------ */

static int tell_state(const struct options *o, int err) {
    if (err == -EBADMSG)
        fprintf(stderr, "cygnet doctor: %s was not written by cygnet doctor; nothing was changed\n", o->state);
    else
        fprintf(stderr, "cygnet doctor: %s: %s%s; nothing was changed\n", o->state, cyg_strerror(err),
                err == -EACCES && geteuid() != 0 ? " (run it as root, or give --state FILE)" : "");
    return FAILED;
}

static int change(const struct options *o, const struct doc_machine *m, const struct doc_finding *f, size_t n) {
    if (!o->dry && m->live && geteuid() != 0) {
        fprintf(stderr, "cygnet doctor: writing sysctls needs root: sudo cygnet doctor %s; nothing was changed (--dry-run says what would be)\n",
                o->action == APPLY ? "--apply" : "--undo");
        return FAILED;
    }
    int left = o->action == APPLY ? doc_apply(stdout, m, f, n, o->state, o->dry) : doc_undo(stdout, m, o->state, o->dry);
    if (left < 0) return tell_state(o, left);
    if (left > 0)
        fprintf(stderr, "cygnet doctor: %d could not be %s\n", left, o->action == APPLY ? "written" : "put back");
    return left ? FAILED : GOOD;
}

/* ---- looking --------------------------------------------------------------------------------------------------------------- */

static int fetch(const struct options *o, struct doc_gateway *g) {
    int err = doc_gateway_fetch(&o->to, g);
    if (err == CYG_EPROTO)
        fprintf(stderr, "cygnet doctor: %s is not the admin address of a Cygnet gateway\n", o->admin);
    else if (err < 0)
        (void)cyg_fail("cygnet doctor", err);
    return err;
}

/* Once, or twice with a while in between: then counters have a rate. Returns how many findings, or -1. */
static long look(const struct options *o, struct doc_machine *m, struct doc_gateway *g, struct doc_finding *f) {
    for (int round = 0;; round++) {
        cyg_time begun = cyg_now();
        if (o->admin) {
            doc_gateway_free(g);
            if (fetch(o, g) < 0) return -1;
            m->gateway = g;
        }
        size_t n = doc_run(m, o->only, o->nonly, f);
        if (round || o->watch == 0) return (long)n;
        if (cyg_sleep((cyg_duration)(o->watch * 1e9)) < 0) return -1;
        doc_machine_again(m, (double)(cyg_now() - begun) / 1e9);
    }
}

static int tell(const struct options *o, const struct doc_machine *m, struct doc_finding *f, size_t n) {
    doc_rank(f, n);
    if (o->json && doc_print_json(stdout, m, f, n) < 0) {
        fputs("cygnet doctor: out of memory\n", stderr);
        return FAILED;
    }
    if (!o->json) doc_print(stdout, m, f, n, o->all);
    if (fflush(stdout) != 0) return FAILED;
    return doc_worst(f, n) == DOC_BAD ? BAD : GOOD;
}

static struct options options; /* of main's thread; the goroutine reads them */

static int doctor(int argc, char **argv) {
    (void)argc, (void)argv;
    const struct options *o = &options;
    struct doc_machine *m = malloc(sizeof *m);
    struct doc_finding *f = calloc(doc_nchecks, sizeof *f);
    struct doc_gateway g = {0};
    int status = FAILED;
    if (m && f) {
        doc_machine_init(m, o->root);
        long n = o->action == UNDO ? 0 : look(o, m, &g, f);
        if (n >= 0) status = o->action ? change(o, m, f, (size_t)n) : tell(o, m, f, (size_t)n);
    }
    doc_gateway_free(&g);
    free(m);
    free(f);
    return status;
}

/* ---- the call ---------------------------------------------------------------------------------------------------------------- */

static int wrong(const char *what, const char *found) {
    fprintf(stderr, "cygnet doctor: %s: \"%s\"\n", what, found);
    return WRONG;
}

/* -1: go on. */
static int check_options(struct options *o) {
    for (size_t i = 0; i < o->nonly; i++)
        if (!known(o->only[i])) return wrong("no such check (--list names them)", o->only[i]);
    if (o->admin && doc_gateway_address(o->admin, &o->to) < 0)
        return wrong("--admin is a URL with an address and a port, as http://127.0.0.1:9901", o->admin);
    if (o->action == UNDO && (o->admin || o->nonly || o->json))
        return wrong("--undo goes with --dry-run and --state alone", "--undo");
    if (o->dry && o->action != APPLY && o->action != UNDO)
        return wrong("--dry-run goes with --apply or --undo", "--dry-run");
    if (o->action == APPLY && o->json) return wrong("--json and --apply do not go together", "--json");
    if (o->watch < 0) o->watch = o->admin ? 2 : 0;
    return -1;
}

static int read_watch(struct options *o, const char *text) {
    char *end;
    o->watch = strtod(text, &end);
    return end == text || *end || !(o->watch >= 0 && o->watch <= 3600) ? wrong("--watch is 0 to 3600 seconds", text) : -1;
}

static int read_action(struct options *o, int action) {
    if (o->action && o->action != action) return wrong("--apply and --undo do not go together", "--undo");
    o->action = action;
    return -1;
}

static int read_options(struct options *o, int argc, char **argv) {
    static const struct option rows[] = {
        {"admin", required_argument, NULL, 'a'},
        {"watch", required_argument, NULL, 'w'},
        {"only", required_argument, NULL, 'o'},
        {"all", no_argument, NULL, 'A'},
        {"json", no_argument, NULL, 'j'},
        {"apply", no_argument, NULL, 'p'},
        {"undo", no_argument, NULL, 'u'},
        {"dry-run", no_argument, NULL, 'n'},
        {"state", required_argument, NULL, 's'},
        {"list", no_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"root", required_argument, NULL, 'R'}, /* for tests: a directory with copies of /proc and /sys */
        {"reference", no_argument, NULL, 'r'},  /* writes docs/reference/doctor.md */
        {0}};
    int status = -1;
    optind = 1;
    for (int c; status < 0 && (c = getopt_long(argc, argv, "h", rows, NULL)) != -1;) {
        switch (c) {
        case 'a': o->admin = optarg; break;
        case 'w': status = read_watch(o, optarg); break;
        case 'o': o->only[o->nonly++] = optarg; break;
        case 'A': o->all = true; break;
        case 'j': o->json = true; break;
        case 'p': status = read_action(o, APPLY); break;
        case 'u': status = read_action(o, UNDO); break;
        case 'n': o->dry = true; break;
        case 's': o->state = optarg; break;
        case 'R': o->root = optarg; break;
        case 'l': list(); return GOOD;
        case 'r': doc_print_reference(stdout); return GOOD;
        case 'h': fputs(usage, stdout); return GOOD;
        default: fputs(usage, stderr); return WRONG;
        }
    }
    if (status >= 0) return status;
    if (optind < argc) return wrong("no argument is expected here", argv[optind]);
    return check_options(o);
}

int cmd_doctor(int argc, char **argv) {
    options = (struct options){.state = "/var/lib/cygnet/doctor.undo", .root = "", .watch = -1};
    options.only = calloc((size_t)argc, sizeof *options.only);
    if (!options.only) return FAILED;
    int status = read_options(&options, argc, argv);
    if (status < 0) status = cyg_main(doctor, 0, NULL);
    free(options.only);
    return status;
}
