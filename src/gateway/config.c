/* config.c: the way in: a file or a text becomes a snapshot, or a list of problems. */
#include "gateway/config.h"

#include "gateway/config_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The snapshot of a tree. Returns: 0; CYG_EPARSE, with problems; CYG_ENOMEM. */
static int make(const char *name, const struct cyg_gw_node *root, struct cyg_gw_config **out,
                struct cyg_gw_problems *problems) {
    struct cyg_gw_arena *arena = cyg_gw_arena_new();
    struct cyg_gw_config *c = arena ? cyg_gw_arena_alloc(arena, sizeof *c) : NULL;
    struct cyg_gw_build b = {.name = name, .problems = problems, .arena = arena};
    int err = CYG_ENOMEM;
    if (!c) goto fail;
    c->arena = arena;
    c->source = (cyg_str){cyg_gw_arena_text(arena, cyg_str_of(name)), strlen(name)};
    if (!c->source.p) goto fail;
    size_t before = problems->n + problems->dropped;
    cyg_gw_build(&b, root, c);
    cyg_gw_check(&b, root, c);
    if (b.out_of_memory) goto fail;
    err = CYG_EPARSE;
    if (problems->n + problems->dropped > before) goto fail;
    *out = c;
    return 0;
fail:
    cyg_gw_arena_free(arena);
    return err;
}

int cyg_gw_config_parse(const char *name, const char *text, size_t n, struct cyg_gw_config **out,
                        struct cyg_gw_problems *problems) {
    struct cyg_gw_arena *tree = cyg_gw_arena_new();
    struct cyg_gw_node *root = NULL;
    struct cyg_gw_config *c = NULL;
    if (!tree) return CYG_ENOMEM;
    size_t before = problems->n + problems->dropped;
    int err = cyg_gw_yaml_read(tree, name, (cyg_str){text, n}, problems, &root);
    bool clean = problems->n + problems->dropped == before;
    if (err == 0) err = make(name, root, &c, problems);
    if (err == 0 && !clean) { /* what the tree left out might have changed the meaning */
        cyg_gw_config_free(c);
        err = CYG_EPARSE;
    }
    cyg_gw_arena_free(tree);
    cyg_gw_problems_sort(problems);
    if (err == 0) *out = c;
    return err;
}

void cyg_gw_config_free(struct cyg_gw_config *c) {
    if (c) cyg_gw_arena_free(c->arena);
}

/* Reads until the end, or one byte more than a document may have. Returns: the count or -errno. */
static ssize_t read_all(int fd, char *buf, size_t cap) {
    size_t n = 0;
    while (n < cap) {
        ssize_t got = read(fd, buf + n, cap - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -errno;
        if (got == 0) break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

int cyg_gw_config_load(const char *path, struct cyg_gw_config **out, struct cyg_gw_problems *problems) {
    bool input = strcmp(path, "-") == 0;
    const char *name = input ? "standard input" : path;
    size_t cap = CYG_GW_MAX_DOCUMENT + 1;
    char *buf = malloc(cap);
    if (!buf) return CYG_ENOMEM;
    int fd = input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), err = CYG_EPARSE;
    ssize_t n = fd < 0 ? -errno : read_all(fd, buf, cap);
    if (n < 0) {
        cyg_gw_problem_add(problems, name, 0, 0, "cannot be read: %s", cyg_strerror((int)n));
    } else {
        err = cyg_gw_config_parse(name, buf, (size_t)n, out, problems);
    }
    if (fd >= 0 && !input) close(fd);
    free(buf);
    return err;
}
