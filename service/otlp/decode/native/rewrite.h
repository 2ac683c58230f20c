/* Replacing strings of a row (`schema.Span` as msgpack) without decoding it.
 *
 * Knows what `scrub.py` knows of a span: which strings may be replaced, and that nothing under an
 * exempt key is. What the decoders never write, and strings with a NUL of their own, make it
 * return 0: the row is then rewritten by the reference.
 */
#ifndef SPANLEDGER_REWRITE_H
#define SPANLEDGER_REWRITE_H

#include "pack.h"

enum { MAX_CHANGES = 64, MAX_NESTING = 64 };

typedef struct {
    slice_t before, after;
} change_t;

/* The keys that a value stands under, the innermost first. */
typedef struct keys {
    slice_t key;
    const struct keys *outer;
} keys_t;

typedef struct {
    slice_t in;           /* what is still to be read */
    buffer_t out;         /* what was written, up to `kept` */
    const uint8_t *kept;  /* from here on nothing has been copied yet */
    const change_t *changes;
    size_t change_count;
    uint64_t used; /* bit n: changes[n] took place */
    int (*is_exempt)(slice_t key, void *exempt);
    void *exempt;
} rewrite_t;

typedef struct {
    enum { SCALAR, STRING, ARRAY, MAP } type;
    size_t size; /* bytes that follow, or items */
} header_t;

static int read_size(slice_t *in, int width, size_t *size) {
    if (length(*in) < (size_t)width) return 0;
    for (*size = 0; width; width--) *size = *size << 8 | *in->at++;
    return 1;
}

static int read_tag(slice_t *in, header_t *header) {
    if (in->at == in->end) return 0;
    uint8_t tag = *in->at++;
    *header = (header_t){SCALAR, 0};
    if (tag < 0x80 || tag >= 0xe0) return 1;
    if (tag < 0x90) return *header = (header_t){MAP, tag & 0x0fu}, 1;
    if (tag < 0xa0) return *header = (header_t){ARRAY, tag & 0x0fu}, 1;
    if (tag < 0xc0) return *header = (header_t){STRING, tag & 0x1fu}, 1;
    switch (tag) {
    case 0xc0: case 0xc2: case 0xc3: return 1;
    case 0xc4: return read_size(in, 1, &header->size);
    case 0xc5: return read_size(in, 2, &header->size);
    case 0xc6: return read_size(in, 4, &header->size);
    case 0xcc: case 0xd0: return header->size = 1, 1;
    case 0xcd: case 0xd1: return header->size = 2, 1;
    case 0xca: case 0xce: case 0xd2: return header->size = 4, 1;
    case 0xcb: case 0xcf: case 0xd3: return header->size = 8, 1;
    case 0xd9: return header->type = STRING, read_size(in, 1, &header->size);
    case 0xda: return header->type = STRING, read_size(in, 2, &header->size);
    case 0xdb: return header->type = STRING, read_size(in, 4, &header->size);
    case 0xdc: return header->type = ARRAY, read_size(in, 2, &header->size);
    case 0xdd: return header->type = ARRAY, read_size(in, 4, &header->size);
    case 0xde: return header->type = MAP, read_size(in, 2, &header->size);
    case 0xdf: return header->type = MAP, read_size(in, 4, &header->size);
    default: return 0;
    }
}

static int take(slice_t *in, size_t size, slice_t *taken) {
    if (size > length(*in)) return 0;
    *taken = (slice_t){in->at, in->at + size};
    in->at += size;
    return 1;
}

static int equal(slice_t a, slice_t b) {
    return length(a) == length(b) && !memcmp(a.at, b.at, length(a));
}

static int is_under_exempt(const rewrite_t *row, const keys_t *keys) {
    for (; keys; keys = keys->outer)
        if (row->is_exempt(keys->key, row->exempt)) return 1;
    return 0;
}

/* `start` is where the header of the string `s` stands. */
static int replace(rewrite_t *row, const uint8_t *start, slice_t s, const keys_t *keys) {
    if (length(s) && memchr(s.at, 0, length(s))) return 0;
    for (size_t i = 0; i < row->change_count; i++) {
        if (!equal(s, row->changes[i].before) || is_under_exempt(row, keys)) continue;
        if (!put(&row->out, row->kept, (size_t)(start - row->kept))) return 0;
        if (!put_string(&row->out, row->changes[i].after)) return 0;
        row->kept = s.end;
        row->used |= (uint64_t)1 << i;
        break;
    }
    return 1;
}

/* Go over one value; with `open`, its strings may be replaced. */
static int walk(rewrite_t *row, int open, const keys_t *outer, int depth) {
    const uint8_t *start = row->in.at;
    header_t header;
    keys_t keys = {.outer = outer};
    slice_t bytes;
    if (depth > MAX_NESTING || !read_tag(&row->in, &header)) return 0;
    if (header.type == SCALAR) return take(&row->in, header.size, &bytes);
    if (header.type == STRING)
        return take(&row->in, header.size, &bytes) &&
               (!open || replace(row, start, bytes, outer));
    for (; header.size; header.size--) {
        if (header.type == MAP) {
            header_t key;
            if (!read_tag(&row->in, &key) || key.type != STRING) return 0;
            if (!take(&row->in, key.size, &keys.key)) return 0;
        }
        if (!walk(row, open, header.type == MAP ? &keys : outer, depth + 1)) return 0;
    }
    return 1;
}

/* An array of `fields` values; those in the bit set `open` may be replaced. */
static int walk_fields(rewrite_t *row, size_t fields, uint32_t open) {
    for (size_t i = 0; i < fields; i++)
        if (!walk(row, open >> i & 1, NULL, 0)) return 0;
    return 1;
}

/* An array of structs, each of `fields` values. */
static int walk_parts(rewrite_t *row, size_t fields, uint32_t open) {
    header_t parts, part;
    if (!read_tag(&row->in, &parts) || parts.type != ARRAY) return 0;
    for (; parts.size; parts.size--) {
        if (!read_tag(&row->in, &part) || part.type != ARRAY || part.size != fields) return 0;
        if (!walk_fields(row, fields, open)) return 0;
    }
    return 1;
}

/* A span that nothing was scrubbed in or cut from yet; `out` gets all before `scrubbed`. */
static int rewrite_span(rewrite_t *row) {
    header_t header;
    row->kept = row->in.at;
    if (!read_tag(&row->in, &header) || header.type != ARRAY || header.size != 20) return 0;
    if (!walk_fields(row, 11, 1u << 6 | 1u << 10) || /* up to the attributes; name, attributes */
        !walk(row, 0, NULL, 0) ||
        !walk_parts(row, 4, 1u << 1 | 1u << 2) || /* events: name, attributes */
        !walk(row, 0, NULL, 0) ||
        !walk_parts(row, 6, 1u << 3) || /* links: attributes */
        !walk_fields(row, 3, 1u << 2))  /* dropped, status code and message */
        return 0;
    return length(row->in) == 2 && !memcmp(row->in.at, "\x90\x90", 2) &&
           put(&row->out, row->kept, (size_t)(row->in.at - row->kept));
}

#endif
