/* bad.h: documents that the gateway must refuse, with every word of what it must say. */
#ifndef TEST_GATEWAY_BAD_H
#define TEST_GATEWAY_BAD_H

#include <stddef.h>

struct bad_document {
    const char *title;
    const char *text;
    size_t n;
    const char *problems; /* as told for a file t.yaml, without a newline at the end */
};

/* bad_documents.c and bad_values.c */
extern const struct bad_document bad_documents[], bad_values[];
extern const size_t nbad_documents, nbad_values;

#define DOC(text) text, sizeof(text) - 1

/* Pieces of a right document, a line each, ... */
#define V "version: v1\n"
#define L "listeners: [{name: web, address: ':80', routes: [{name: r, cluster: c}]}]\n"
#define C "clusters: [{name: c, endpoints: ['127.0.0.1:1']}]\n"

/* ... and with room for what is wrong: further keys of a listener or cluster (from line 5, of L4 6, of a cluster 4 of the piece on), or routes. */
#define LISTENER(keys)     \
    "listeners:\n"         \
    "  - name: web\n"      \
    "    address: ':80'\n" \
    "    routes: [{name: r, cluster: c}]\n" keys
#define L4(protocol, keys)         \
    "listeners:\n"                 \
    "  - name: db\n"               \
    "    address: ':3306'\n"       \
    "    protocol: " protocol "\n" \
    "    cluster: c\n" keys
#define ROUTES(routes) "listeners: [{name: web, address: ':80', routes: [\n" routes "]}]\n"
#define CLUSTER(keys) \
    "clusters:\n"     \
    "  - name: c\n"   \
    "    endpoints: ['127.0.0.1:1']\n" keys

#endif
