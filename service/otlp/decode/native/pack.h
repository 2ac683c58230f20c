/* Writing msgpack exactly as msgspec does: the shortest form of everything. */
#ifndef SPANLEDGER_PACK_H
#define SPANLEDGER_PACK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

typedef struct {
    uint8_t *data;
    size_t size;
    size_t room;
    int short_of_memory;
} buffer_t;

/* Make room for `more` bytes; 0 when memory is short. */
static inline int reserve(buffer_t *out, size_t more) {
    if (out->room - out->size >= more) return 1;
    size_t room = out->room ? out->room : 256; /* there may be very many small scopes */
    while (room - out->size < more) room *= 2;
    uint8_t *data = realloc(out->data, room);
    if (!data) return out->short_of_memory = 1, 0;
    out->data = data;
    out->room = room;
    return 1;
}

static inline int put(buffer_t *out, const void *data, size_t size) {
    if (!reserve(out, size)) return 0;
    if (size) memcpy(out->data + out->size, data, size);
    out->size += size;
    return 1;
}

/* One tag byte and `width` bytes of `value`, big-endian. */
static inline int put_tagged(buffer_t *out, uint8_t tag, uint64_t value, int width) {
    if (!reserve(out, 9)) return 0;
    uint8_t *p = out->data + out->size;
    *p++ = tag;
    for (int shift = 8 * (width - 1); shift >= 0; shift -= 8) *p++ = (uint8_t)(value >> shift);
    out->size += 1 + (size_t)width;
    return 1;
}

static int put_uint(buffer_t *out, uint64_t value) {
    if (value < 0x80) return put_tagged(out, (uint8_t)value, 0, 0);
    if (value <= UINT8_MAX) return put_tagged(out, 0xcc, value, 1);
    if (value <= UINT16_MAX) return put_tagged(out, 0xcd, value, 2);
    if (value <= UINT32_MAX) return put_tagged(out, 0xce, value, 4);
    return put_tagged(out, 0xcf, value, 8);
}

static int put_int(buffer_t *out, int64_t value) {
    if (value >= 0) return put_uint(out, (uint64_t)value);
    if (value >= -32) return put_tagged(out, (uint8_t)value, 0, 0);
    if (value >= INT8_MIN) return put_tagged(out, 0xd0, (uint64_t)value, 1);
    if (value >= INT16_MIN) return put_tagged(out, 0xd1, (uint64_t)value, 2);
    if (value >= INT32_MIN) return put_tagged(out, 0xd2, (uint64_t)value, 4);
    return put_tagged(out, 0xd3, (uint64_t)value, 8);
}

/* A header whose short form is `fixed | size` below `limit`, else tag8 (0: none), tag16, tag32. */
static inline int put_header(buffer_t *out, size_t size, uint8_t fixed, size_t limit,
                             uint8_t tag8, uint8_t tag16, uint8_t tag32) {
    if (size < limit) return put_tagged(out, (uint8_t)(fixed | size), 0, 0);
    if (tag8 && size <= UINT8_MAX) return put_tagged(out, tag8, size, 1);
    if (size <= UINT16_MAX) return put_tagged(out, tag16, size, 2);
    return put_tagged(out, tag32, size, 4);
}

static int put_array(buffer_t *out, size_t count) {
    return put_header(out, count, 0x90, 16, 0, 0xdc, 0xdd);
}

static int put_map(buffer_t *out, size_t count) {
    return put_header(out, count, 0x80, 16, 0, 0xde, 0xdf);
}

static int put_string(buffer_t *out, slice_t s) {
    return put_header(out, length(s), 0xa0, 32, 0xd9, 0xda, 0xdb) && put(out, s.at, length(s));
}

static int put_binary(buffer_t *out, slice_t s) {
    return put_header(out, length(s), 0, 0, 0xc4, 0xc5, 0xc6) && put(out, s.at, length(s));
}

#endif
