/* doctor.h: `cygnet doctor`: a table of checks, each of which reads something of the machine (or of a running gateway), and says
 * what it is, what it costs with this machine's numbers, whether that is bad, and how to change it.
 *
 * A check reads only through doc_machine, so a directory with copies of /proc and /sys files does as well as the machine. It has no
 * state: counters are compared with what an earlier run of the same checks noted in the machine (see doc_counter).
 * A new check is a function with its row in a check_*.c and a line of table.c.
 */
#ifndef CYG_DOCTOR_DOCTOR_H
#define CYG_DOCTOR_DOCTOR_H

#include <cygnet/base.h>
#include <stdio.h>

/* ---- where checks read ------------------------------------------------------------------------------------------------ */

struct doc_counter {
    char name[48];
    double value;
};
#define DOC_COUNTERS 256

struct doc_gateway; /* gateway.h */

struct doc_machine {
    const char *root; /* put before every path: "" for this machine */
    bool live;        /* it is this machine: what is in no file may be asked for */
    unsigned uid;
    uint64_t nofile_soft, nofile_hard; /* of this process */
    unsigned long procs_limit;         /* RLIMIT_NPROC; 0: none */
    const struct doc_gateway *gateway; /* NULL: none is looked at */

    /* Counters of the run before, and how long ago it was; 0: there was none. */
    double seconds;
    size_t nbefore, nnow;
    struct doc_counter before[DOC_COUNTERS], now[DOC_COUNTERS];
};

/* What is in no file, from this process. */
void doc_machine_init(struct doc_machine *m, const char *root);
/* What is read from now on is compared with what was read so far, that many seconds later. */
void doc_machine_again(struct doc_machine *m, double seconds);

/* The file's text, NUL-terminated, cut to n bytes; its length, or -errno. */
ssize_t doc_read(const struct doc_machine *m, const char *path, char *buf, size_t n);
/* Up to n numbers from the start of a file; how many there are, 0 if it cannot be read. */
size_t doc_numbers(const struct doc_machine *m, const char *path, double *out, size_t n);
bool doc_number(const struct doc_machine *m, const char *path, double *out);
/* A column of a pair of lines "PREFIX names…" and "PREFIX values…", as in /proc/net/netstat and snmp. */
bool doc_column(const struct doc_machine *m, const char *path, const char *prefix, const char *name, double *out);
/* The number behind "name" in the line that starts with prefix, as in sockstat ("TCP: inuse 3 tw 5") and pressure ("some avg10=1.5").
 * prefix "": any line that starts with the name. */
bool doc_word(const struct doc_machine *m, const char *path, const char *prefix, const char *name, double *out);
/* What is added since the last run in a second; 0 in the first run. Not const: it notes the value for the next. */
double doc_rate(struct doc_machine *m, const char *counter, double value);
/* Whether the kernel is at least that version, by /proc/sys/kernel/osrelease. */
bool doc_kernel_at_least(const struct doc_machine *m, unsigned major, unsigned minor);
bool doc_debug_word(const struct doc_machine *m, const char *word); /* CYGNET_DEBUG has it */

/* ---- what checks say ---------------------------------------------------------------------------------------------------- */

enum doc_verdict { DOC_OK, DOC_UNKNOWN, DOC_NOTE, DOC_BAD }; /* in rising order */

struct doc_finding {
    const struct doc_check *check;
    enum doc_verdict verdict; /* DOC_OK unless said otherwise */
    double now; /* for ranking: 100: it went wrong while we watched; else how much of a limit is used, in percent */
    char value[128];
    char cost[512];
    char fix[384];   /* a command or two; "": nothing to do */
    char sysctl[64]; /* what --apply would write: its name, what it is and what it would become; "": nothing */
    char from[96], to[96];
};

struct doc_check {
    const char *name;
    const char *what;  /* it is, in one sentence */
    const char *reads; /* for the reference */
    const char *rule;  /* when it is a note and when bad, for the reference */
    void (*run)(struct doc_machine *m, struct doc_finding *f);
    bool of_gateway; /* only with one to look at */
};

void doc_value(struct doc_finding *f, const char *fmt, ...) CYG_PRINTF(2, 3);
void doc_cost(struct doc_finding *f, const char *fmt, ...) CYG_PRINTF(2, 3); /* a sentence more */
void doc_fix(struct doc_finding *f, const char *fmt, ...) CYG_PRINTF(2, 3);
/* The fix is to write a sysctl, which --apply can do: "net.ipv4.tcp_tw_reuse". */
void doc_fix_sysctl(const struct doc_machine *m, struct doc_finding *f, const char *name, const char *to);
void doc_unknown(struct doc_finding *f, const char *path); /* it cannot be read */
void doc_raise(struct doc_finding *f, enum doc_verdict v); /* never lowers */
void doc_in_use(struct doc_finding *f, double used, double limit, double note_at, double bad_at); /* shares of the limit */
/* A counter of things that went wrong: bad if it rises while we watch, a note if it is not 0. */
void doc_mishaps(struct doc_machine *m, struct doc_finding *f, const char *counter, double total);

/* A number with commas; buf has room for 32. */
const char *doc_commas(char *buf, double v);
const char *doc_bytes(char *buf, double v); /* "6 MiB" */

/* ---- the table, and running it ---------------------------------------------------------------------------------------------- */

extern const struct doc_check *const doc_checks[];
extern const size_t doc_nchecks;

/* Runs those whose name is in only (NULL: all), in the order of the table. out has room for doc_nchecks. Returns how many. */
size_t doc_run(struct doc_machine *m, const char *const *only, size_t nonly, struct doc_finding *out);
/* Bad ones first, then notes; of the same verdict by what hurts now, then as the table has them. */
void doc_rank(struct doc_finding *f, size_t n);
enum doc_verdict doc_worst(const struct doc_finding *f, size_t n);
const char *doc_verdict_name(enum doc_verdict v);

/* ---- telling it ------------------------------------------------------------------------------------------------------------- */

void doc_print(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n, bool all);
int doc_print_json(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n); /* 0 or CYG_ENOMEM */
void doc_print_reference(FILE *out); /* docs/reference/doctor.md */

/* ---- changing it ------------------------------------------------------------------------------------------------------------ */

/* apply.c: writes what the findings propose; what was there before is first noted in the file `state`. dry: only says so.
 * Both return how many could not be done, or -errno when the file cannot be used (nothing is changed then). */
int doc_apply(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n, const char *state, bool dry);
int doc_undo(FILE *out, const struct doc_machine *m, const char *state, bool dry);

#endif
