/* http_field.h in use: header names as numbers. Compiles as C11 and C++17, ends with 0. */
#include <cygnet/http_field.h>

int main(void) {
    cyg_http_field f[] = {{CYG_STR("accept"), CYG_STR("*/*"), 0}, {CYG_STR("hOST"), CYG_STR("example.com"), 0}};
    cyg_str host = {NULL, 0};
    for (size_t i = 0; i < 2; i++) {
        f[i].id = cyg_http_field_id_of(f[i].name);
        if (f[i].id == CYG_HTTP_HOST) host = f[i].value;
    }
    if (!cyg_str_eq(host, CYG_STR("example.com"))) return 1;
    return strcmp(cyg_http_status_text(404), "Not Found") == 0 ? 0 : 2;
}
