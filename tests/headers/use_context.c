/* context.h in use: a deadline that ends the parks below it, and a cause. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/context.h>
#include <cygnet/runtime.h>

static int fetch(void) { return cyg_sleep(CYG_HOUR); }

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
    return cyg_ctx_err(child) == CYG_ELIMIT && cyg_ctx_err(cyg_ctx_background()) == 0 ? 0 : 2;
}

int main(int argc, char **argv) { return cyg_main(work, argc, argv); }
