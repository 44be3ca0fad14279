/* http1_write.c: the pieces of a head to be sent. The caller's memory, no allocation, no format strings. */
#include "proto/http1.h"
#include "proto/http1_scan.h"

static void two_digits(char *out, unsigned v) {
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
}

void cyg_h1_date(char out[29], int64_t unix_seconds) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "MarAprMayJunJulAugSepOctNovDecJanFeb";
    const int64_t last = 253402300799; /* the end of 9999 */
    uint64_t t = (uint64_t)(unix_seconds < 0 ? 0 : unix_seconds > last ? last : unix_seconds);
    unsigned day = (unsigned)(t / 86400), second = (unsigned)(t % 86400);
    /* Years begin in March here, so that the leap day is a year's last; 719468 days lie between 0000-03-01 and 1970-01-01.
     * The four divisors undo the calendar's corrections: a day in 4 years, one less in 100, one more in 400. */
    unsigned since = day + 719468, era = since / 146097, in_era = since % 146097;
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * in_year + 2) / 153; /* 0 is March; months of 31, 30, 31, 30, 31 days make 153 */
    unsigned in_month = in_year - (153 * month + 2) / 5 + 1;
    year += era * 400 + (month >= 10);

    memcpy(out, "DDD, dd MMM yyyy hh:mm:ss GMT", 29);
    memcpy(out, days + (day + 4) % 7 * 3, 3); /* 1970 began on a Thursday */
    two_digits(out + 5, in_month);
    memcpy(out + 8, months + month * 3, 3);
    two_digits(out + 12, year / 100);
    two_digits(out + 14, year % 100);
    two_digits(out + 17, second / 3600);
    two_digits(out + 20, second / 60 % 60);
    two_digits(out + 23, second % 60);
}

bool cyg_h1_name_ok(cyg_str name) { return name.n > 0 && cyg_h1_all(name, CYG_H1_TOKEN); }

bool cyg_h1_value_ok(cyg_str value) {
    return value.n == 0 || cyg_h1_scan(value.p, value.p + value.n, CYG_H1_VALUE) == value.p + value.n;
}

static cyg_str decimal(char digits[20], uint64_t v) {
    char *d = digits + 20;
    do *--d = (char)('0' + v % 10);
    while (v /= 10);
    return (cyg_str){d, (size_t)(digits + 20 - d)};
}

void cyg_h1_put_uint(struct cyg_h1_out *o, uint64_t v) {
    char digits[20];
    cyg_h1_put_str(o, decimal(digits, v));
}

void cyg_h1_put_field(struct cyg_h1_out *o, cyg_str name, cyg_str value) {
    cyg_h1_put_str(o, name);
    cyg_h1_put_line(o, CYG_STR(": "), value);
}

void cyg_h1_put_request_line(struct cyg_h1_out *o, cyg_str method, cyg_str target) {
    cyg_h1_put_str(o, method);
    cyg_h1_put_lit(o, " ");
    cyg_h1_put_line(o, target, CYG_STR(" HTTP/1.1"));
}

/* A status that is not of three digits would not be read by anybody: it goes out as 500. */
static __attribute__((noinline)) void put_any_status(struct cyg_h1_out *o, int status) {
    if (status < 100 || status > 999) status = 500;
    cyg_h1_put_lit(o, "HTTP/1.1 ");
    cyg_h1_put_uint(o, (uint64_t)status);
    cyg_h1_put_line(o, CYG_STR(" "), cyg_str_of(cyg_http_status_text(status))); /* the space stands before an empty reason too */
}

void cyg_h1_put_uint_line(struct cyg_h1_out *o, cyg_str before, uint64_t v) {
    char digits[20];
    cyg_h1_put_line(o, before, decimal(digits, v));
}

void cyg_h1_put_status_line(struct cyg_h1_out *o, int status) {
    if (CYG_LIKELY(status == 200))
        cyg_h1_put_lit(o, "HTTP/1.1 200 OK\r\n");
    else
        put_any_status(o, status);
}
