/* context.h in use: a deadline that ends the parks below it, a cause, a value, a function at the end. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/context.h>
#include <cygnet/runtime.h>

static int fetch(void) { return cyg_sleep(CYG_HOUR); }

static int ended; /* atomic */
static void note(void *arg) { __atomic_store_n((int *)arg, 1, __ATOMIC_SEQ_CST); }

static int more(void) {
    static const char user_key = 0;
    char alice[] = "alice";
    cyg_auto_ctx cyg_ctx *request = cyg_ctx_with_value(NULL, &user_key, alice);
    cyg_auto_ctx cyg_ctx *later = cyg_ctx_detached(request);
    cyg_ctx_after *after;
    if (cyg_ctx_after_func(request, note, &ended, &after) != 0) return 3;
    cyg_ctx_cancel_because(request, CYG_ECANCELED, "client %d has gone", 7);
    while (!__atomic_load_n(&ended, __ATOMIC_SEQ_CST)) cyg_yield();
    if (cyg_ctx_after_stop(after)) return 4; /* too late */
    cyg_ctx_after_release(after);
    if (strcmp(cyg_ctx_cause(request), "client 7 has gone") != 0) return 5;
    return cyg_ctx_err(later) == 0 && cyg_ctx_value(later, &user_key) == alice ? 0 : 6;
}

static int work(int argc, char **argv) {
    (void)argc, (void)argv;
    cyg_auto_ctx cyg_ctx *ctx = cyg_ctx_with_timeout(NULL, 5 * CYG_MILLISECOND); /* NULL: below the goroutine's own */
    cyg_ctx_scope scope = cyg_ctx_enter(ctx);
    int err = fetch();
    cyg_ctx_leave(&scope);
    if (err != CYG_ETIMEDOUT || cyg_ctx_err(ctx) != CYG_ETIMEDOUT) return 1;

    cyg_auto_ctx cyg_ctx *other = cyg_ctx_with_cancel(NULL);
    cyg_ctx_cancel(other, CYG_ELIMIT);
    cyg_auto_ctx cyg_ctx *child = cyg_ctx_with_timeout(other, CYG_HOUR); /* born ended */
    return cyg_ctx_err(child) == CYG_ELIMIT && cyg_ctx_err(cyg_ctx_background()) == 0 ? more() : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
