/* Reading protobuf's wire format: bounds-checked, nothing copied.
 *
 * A `slice_t` is a run of bytes inside the request. Every reader returns 0 on malformed input;
 * the caller then declines the whole request, and the reference decoder says what is wrong.
 */
#ifndef SPANLEDGER_WIRE_H
#define SPANLEDGER_WIRE_H

#include <stdint.h>
#include <string.h>

typedef struct {
    const uint8_t *at;
    const uint8_t *end;
} slice_t;

typedef struct {
    uint32_t number;
    uint32_t type;
    uint64_t value;  /* varint, fixed32, fixed64 */
    slice_t bytes;   /* length-delimited */
} field_t;

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, GROUP = 3, GROUP_END = 4, FIXED32 = 5 };
enum { MAX_GROUPS = 32 };

static inline size_t length(slice_t s) { return (size_t)(s.end - s.at); }

static inline int read_varint(slice_t *in, uint64_t *value) {
    uint64_t result = 0;
    if (in->at < in->end && *in->at < 0x80) return *value = *in->at++, 1; /* most of them */
    for (int shift = 0; shift < 64; shift += 7) {
        if (in->at == in->end) return 0;
        uint8_t byte = *in->at++;
        result |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            if (shift == 63 && byte > 1) return 0;
            *value = result;
            return 1;
        }
    }
    return 0;
}

static int read_group(slice_t *in, uint32_t number);

/* The next field. A group (nothing of OTLP is one) is read over, as a field of type GROUP. */
static inline int read_field(slice_t *in, field_t *field) {
    uint64_t key;
    if (!read_varint(in, &key) || key >> 32 || key >> 3 == 0) return 0;
    field->number = (uint32_t)(key >> 3);
    field->type = (uint32_t)(key & 7);
    size_t left = length(*in);
    switch (field->type) {
    case VARINT:
        return read_varint(in, &field->value);
    case FIXED64:
        if (left < 8) return 0;
        memcpy(&field->value, in->at, 8);
        in->at += 8;
        return 1;
    case FIXED32: {
        uint32_t value;
        if (left < 4) return 0;
        memcpy(&value, in->at, 4);
        field->value = value;
        in->at += 4;
        return 1;
    }
    case BYTES: {
        uint64_t size;
        if (!read_varint(in, &size) || size > length(*in)) return 0;
        field->bytes.at = in->at;
        field->bytes.end = in->at += size;
        return 1;
    }
    case GROUP:
        return read_group(in, field->number);
    default:
        return 0;
    }
}

/* Over the fields of group `number`, to behind its end. */
static int read_group(slice_t *in, uint32_t number) {
    uint32_t open[MAX_GROUPS] = {number};
    size_t depth = 1;
    while (depth) {
        uint64_t key;
        slice_t ahead = *in;
        field_t field;
        if (!read_varint(&ahead, &key) || key >> 32 || key >> 3 == 0) return 0;
        if ((key & 7) == GROUP) {
            if (depth == MAX_GROUPS) return 0;
            open[depth++] = (uint32_t)(key >> 3);
            *in = ahead;
        } else if ((key & 7) == GROUP_END) {
            if (open[--depth] != key >> 3) return 0;
            *in = ahead;
        } else if (!read_field(in, &field)) {
            return 0;
        }
    }
    return 1;
}

/* Whether 8 bytes are ASCII. */
static inline int is_ascii(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return !(word & 0x8080808080808080ULL);
}

/* Is this well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong)? */
static int is_utf8(slice_t s) {
    const uint8_t *p = s.at, *end = s.end;
    while (p < end) {
        if (end - p >= 8 && is_ascii(p)) {
            p += 8;
            continue;
        }
        if (end - p < 8 && length(s) >= 8 && is_ascii(end - 8)) return 1;
        uint8_t lead = *p++;
        if (lead < 0x80) continue;
        int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || end - p < more) return 0;
        uint8_t low = 0x80, high = 0xbf; /* bounds of the second byte */
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
        if (*p < low || *p > high) return 0;
        for (int i = 1; i < more; i++)
            if ((p[i] & 0xc0) != 0x80) return 0;
        p += more;
    }
    return 1;
}

#endif
