/* objpool.h in use: an object that comes back. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/objpool.h>
#include <cygnet/runtime.h>

struct request {
    int id;
    char head[200];
};
static void reset(void *obj) { ((struct request *)obj)->id = 0; }

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_objpool_opts opts;
    memset(&opts, 0, sizeof opts);
    opts.max_idle = 16;
    opts.reset = reset;
    cyg_objpool *pool = cyg_objpool_new(sizeof(struct request), &opts);
    for (int i = 1; i <= 100; i++) {
        struct request *r = (struct request *)cyg_objpool_get(pool);
        if (!r || r->id != 0) return 1;
        r->id = i;
        cyg_objpool_put(pool, r);
    }
    cyg_objpool_stats st;
    cyg_objpool_get_stats(pool, &st);
    cyg_objpool_free(pool);
    return st.gets_total == 100 && st.used == 0 && st.idle == st.news_total ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
