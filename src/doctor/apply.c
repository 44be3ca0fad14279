/* apply.c: writing sysctls, and putting back what was there.
 *
 * The state file has a line for each: NAME <tab> value before <tab> value written. It is written whole, and on the disk, before the
 * first sysctl is, so a crash in between loses nothing: undo puts back only what still has the value that was written.
 */
#include "doctor/doctor.h"

#include <cygnet/err.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ENTRIES 128
#define STATE_MAX 65536

struct entry {
    char name[64], from[96], to[96];
};
struct state {
    struct entry list[ENTRIES];
    size_t n;
};

/* ---- sysctls ------------------------------------------------------------------------------------------------------------- */

/* Of those that the checks propose: names in lower case below net, vm, fs or kernel. */
static bool is_name(const char *s) {
    static const char *const tops[] = {"net.", "vm.", "fs.", "kernel."};
    bool top = false;
    for (size_t i = 0; i < 4; i++) top |= strncmp(s, tops[i], strlen(tops[i])) == 0;
    return top && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.")] == 0 && strlen(s) < 64 && !strstr(s, "..");
}

static void path_of(const struct doc_machine *m, const char *name, char *out, size_t n) {
    int at = snprintf(out, n, "%s/proc/sys/", m->root);
    snprintf(out + at, n - (size_t)at, "%s", name);
    for (char *p = out + at; *p; p++)
        if (*p == '.') *p = '/';
}

static int write_sysctl(const struct doc_machine *m, const char *name, const char *value) {
    char path[512];
    if (strlen(m->root) > 300) return -ENAMETOOLONG;
    path_of(m, name, path, sizeof path);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    if (fd < 0) return -errno;
    ssize_t r = write(fd, value, strlen(value));
    int err = r < 0 ? -errno : 0;
    close(fd);
    return err;
}

/* ---- the state file -------------------------------------------------------------------------------------------------------- */

static struct entry *find(struct state *s, const char *name) {
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->list[i].name, name) == 0) return &s->list[i];
    return NULL;
}

static bool take_line(struct state *s, char *line) {
    char *from = strchr(line, '\t'), *to = from ? strchr(from + 1, '\t') : NULL;
    if (!to || s->n == ENTRIES) return false;
    *from++ = 0, *to++ = 0;
    if (!is_name(line) || strlen(from) >= sizeof s->list->from || strlen(to) >= sizeof s->list->to) return false;
    struct entry *e = &s->list[s->n++];
    snprintf(e->name, sizeof e->name, "%s", line);
    snprintf(e->from, sizeof e->from, "%s", from);
    snprintf(e->to, sizeof e->to, "%s", to);
    return true;
}

/* 0, also if there is no file; or -errno, -EBADMSG for one that is not ours. */
static int load(struct state *s, const char *path) {
    struct doc_machine here = {.root = ""};
    char *text = malloc(STATE_MAX), *save;
    if (!text) return -ENOMEM;
    ssize_t n = doc_read(&here, path, text, STATE_MAX);
    int err = n == -ENOENT ? 0 : n < 0 ? (int)n : 0;
    s->n = 0;
    for (char *line = n > 0 ? strtok_r(text, "\n", &save) : NULL; line && !err; line = strtok_r(NULL, "\n", &save))
        if (line[0] != '#' && !take_line(s, line)) err = -EBADMSG;
    free(text);
    return err;
}

static int store(const struct state *s, const char *path) {
    char fresh[512], copy[512];
    if ((size_t)snprintf(fresh, sizeof fresh, "%s.new", path) >= sizeof fresh) return -ENAMETOOLONG;
    snprintf(copy, sizeof copy, "%s", path);
    (void)mkdir(dirname(copy), 0755);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return -errno;
    FILE *f = fdopen(fd, "w");
    if (!f) {
        close(fd);
        return -ENOMEM;
    }
    fputs(
        "# What `cygnet doctor --apply` changed: name, value before, value written. `cygnet doctor --undo` reads it.\n", f);
    for (size_t i = 0; i < s->n; i++) fprintf(f, "%s\t%s\t%s\n", s->list[i].name, s->list[i].from, s->list[i].to);
    bool good = fflush(f) == 0 && fsync(fd) == 0;
    int err = good ? 0 : -errno;
    if (fclose(f) != 0 && !err) err = -EIO;
    if (!err && rename(fresh, path) < 0) err = -errno;
    if (err) unlink(fresh);
    return err;
}

/* ---- apply ------------------------------------------------------------------------------------------------------------------ */

/* What was written before and still stands keeps its first value: undo goes back to where it all began. */
static bool note(struct state *s, const struct doc_finding *f) {
    struct entry *e = find(s, f->sysctl);
    bool again = e != NULL;
    if (!e && s->n == ENTRIES) return false;
    if (!e) e = &s->list[s->n++];
    if (!again || strcmp(e->to, f->from) != 0) snprintf(e->from, sizeof e->from, "%s", f->from);
    snprintf(e->name, sizeof e->name, "%s", f->sysctl);
    snprintf(e->to, sizeof e->to, "%s", f->to);
    return true;
}

static bool applies(const struct doc_finding *f) { return f->verdict >= DOC_NOTE && f->sysctl[0] != 0; }

int doc_apply(FILE *out, const struct doc_machine *m, const struct doc_finding *f, size_t n, const char *state, bool dry) {
    static struct state s;
    int err = load(&s, state), failed = 0;
    size_t todo = 0;
    if (err) return err;
    for (size_t i = 0; i < n; i++)
        if (applies(&f[i]) && ++todo && !note(&s, &f[i])) return -ENOSPC;
    if (todo && !dry && (err = store(&s, state))) return err;
    for (size_t i = 0; i < n; i++) {
        if (!applies(&f[i])) continue;
        err = dry ? 0 : write_sysctl(m, f[i].sysctl, f[i].to);
        failed += err < 0;
        fprintf(out, "%s: %s -> %s: %s\n", f[i].sysctl, f[i].from, f[i].to,
                dry   ? "would be written"
                : err ? cyg_strerror(err)
                      : "written");
    }
    if (!todo) fputs("Nothing to apply.\n", out);
    if (todo && !dry) fprintf(out, "What was there before is in %s; cygnet doctor --undo puts it back.\n", state);
    if (todo) fputs("To keep this over a restart, put it into a file below /etc/sysctl.d:\n", out);
    for (size_t i = 0; i < n; i++)
        if (applies(&f[i])) fprintf(out, "  %s = %s\n", f[i].sysctl, f[i].to);
    return failed;
}

/* ---- undo ------------------------------------------------------------------------------------------------------------------- */

/* As written by whoever, in words with one blank between. */
static bool current(const struct doc_machine *m, const char *name, char *out, size_t n) {
    struct doc_finding f = {0};
    doc_fix_sysctl(m, &f, name, "");
    snprintf(out, n, "%s", f.from);
    return f.sysctl[0] != 0;
}

/* true: this entry is done with. */
static bool undo_one(FILE *out, const struct doc_machine *m, const struct entry *e, bool dry) {
    char now[96];
    if (!current(m, e->name, now, sizeof now)) {
        fprintf(out, "%s: cannot be read\n", e->name);
        return false;
    }
    if (strcmp(now, e->from) == 0) {
        fprintf(out, "%s: is %s, as it was\n", e->name, now);
        return true;
    }
    if (strcmp(now, e->to) != 0) {
        fprintf(out, "%s: is %s, neither what was there (%s) nor what was written (%s): left as it is\n", e->name, now,
                e->from, e->to);
        return true;
    }
    int err = dry ? 0 : write_sysctl(m, e->name, e->from);
    fprintf(out, "%s: %s -> %s: %s\n", e->name, now, e->from,
            dry   ? "would be put back"
            : err ? cyg_strerror(err)
                  : "put back");
    return err == 0;
}

int doc_undo(FILE *out, const struct doc_machine *m, const char *state, bool dry) {
    static struct state s, left;
    int err = load(&s, state);
    if (err) return err;
    left.n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!undo_one(out, m, &s.list[i], dry)) left.list[left.n++] = s.list[i];
    if (s.n == 0) fprintf(out, "Nothing to undo: %s has no entry.\n", state);
    if (dry || s.n == 0) return (int)left.n;
    if (left.n == 0)
        err = unlink(state) < 0 ? -errno : 0;
    else
        err = store(&left, state);
    return err ? err : (int)left.n;
}
