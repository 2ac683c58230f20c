/* OTLP spans to msgpack rows, for requests with nothing unusual in them.
 *
 * Whatever the reference decoder would refuse, cut, count as dropped or merge makes a function
 * here return 0: the request is declined as a whole and decoded by the reference instead. So
 * this file knows only the ordinary case, and both give the same bytes for it.
 */
#ifndef SPANLEDGER_OTLP_H
#define SPANLEDGER_OTLP_H

#include "pack.h"

enum { MAX_ATTRIBUTES = 1024, MAX_PARTS = 1024, MAX_DEPTH = 8 };

typedef struct {
    size_t string_bytes;
    size_t attributes;
    size_t events;
    size_t links;
} limits_t;

/* Where a group's output goes: rows back to back, and the strings that may be scrubbed. */
typedef struct {
    buffer_t rows;
    buffer_t text; /* each string is followed by a NUL */
    int secret;    /* whether a key of this row names a secret */
    int keyed;     /* whether any row has an idempotency key */
    const limits_t *limits;
} sink_t;

/* Strings of contexts, keys and states are not scrubbed with the rows: `text` 0 leaves them out. */
static int emit_string(sink_t *sink, slice_t s, int text) {
    if (length(s) > sink->limits->string_bytes || !is_utf8(s)) return 0;
    if (text && length(s) && !(put(&sink->text, s.at, length(s)) && put(&sink->text, "", 1)))
        return 0;
    return put_string(&sink->rows, s);
}

static int emit_value(sink_t *sink, slice_t in, int text, int depth);

static int emit_list(sink_t *sink, slice_t in, int text, int depth) {
    slice_t scan = in;
    field_t field;
    size_t count = 0;
    for (; scan.at < scan.end; count++)
        if (!read_field(&scan, &field) || field.number != 1 || field.type != BYTES) return 0;
    if (count > sink->limits->attributes || !put_array(&sink->rows, count)) return 0;
    while (in.at < in.end)
        if (!read_field(&in, &field) || !emit_value(sink, field.bytes, text, depth)) return 0;
    return 1;
}

static int same(slice_t a, slice_t b) {
    return length(a) == length(b) && !memcmp(a.at, b.at, length(a));
}

static int ends_with(slice_t s, const char *word) {
    size_t size = strlen(word);
    if (length(s) < size) return 0;
    const uint8_t *tail = s.end - size;
    for (size_t i = size; i-- > 0;) /* only a letter becomes a letter by this bit */
        if ((tail[i] | 0x20) != word[i]) return 0;
    return 1;
}

static int is_secret_word(slice_t key, const char *const *words) {
    for (; *words; words++)
        if (ends_with(key, *words)) return 1;
    return 0;
}

/* Whether a key says that its value is a secret; exactly as in secret_keys.py. Most keys are
 * told apart by their last two letters. */
static int is_secret(slice_t key) {
    static const char *const WORDS[] = {"password", "passwd", "passphrase", "secret", "token",
                                        "credential", "credentials", "cookie", "authorization",
                                        NULL};
    static const char *const KINDS[] = {"api", "access", "auth", "secret", "private", "signing",
                                        "encryption", NULL};
    if (length(key) < 5) return 0;
    switch ((key.end[-2] | 0x20) << 8 | (key.end[-1] | 0x20)) {
    case 'r' << 8 | 'd': case 'w' << 8 | 'd': case 's' << 8 | 'e': case 'e' << 8 | 't':
    case 'e' << 8 | 'n': case 'a' << 8 | 'l': case 'l' << 8 | 's': case 'i' << 8 | 'e':
    case 'o' << 8 | 'n':
        return is_secret_word(key, WORDS);
    case 'e' << 8 | 'y':
        if (!ends_with(key, "key")) return 0;
        key.end -= 3;
        if (key.end[-1] == '_' || key.end[-1] == '.' || key.end[-1] == '-') key.end--;
        return is_secret_word(key, KINDS);
    default:
        return 0;
    }
}

static int is_idempotency_key(slice_t key) {
    static const char NAME[] = "task.idempotency_key";
    return length(key) == sizeof NAME - 1 && !memcmp(key.at, NAME, sizeof NAME - 1);
}

/* `entries` are KeyValue messages; a repeated key is declined. */
static int emit_map(sink_t *sink, const slice_t *entries, size_t count, int text, int depth) {
    slice_t keys[MAX_ATTRIBUTES];
    if (count > sink->limits->attributes || !put_map(&sink->rows, count)) return 0;
    for (size_t i = 0; i < count; i++) {
        slice_t in = entries[i], key = {0}, value = {0};
        field_t field;
        int seen = 0;
        while (in.at < in.end) {
            if (!read_field(&in, &field) || field.type != BYTES) return 0;
            if (field.number < 1 || field.number > 2 || seen & field.number) return 0;
            seen |= (int)field.number;
            *(field.number == 1 ? &key : &value) = field.bytes;
        }
        if (!(seen & 1)) return 0;
        for (size_t j = 0; j < i; j++)
            if (same(keys[j], key)) return 0;
        keys[i] = key;
        if (!emit_string(sink, key, 0)) return 0;
        if (text && is_secret(key)) sink->secret = 1;
        if (text && is_idempotency_key(key)) sink->keyed = 1;
        if (!(seen & 2) ? !put(&sink->rows, "\xc0", 1) : !emit_value(sink, value, text, depth))
            return 0;
    }
    return 1;
}

static int emit_kvlist(sink_t *sink, slice_t in, int text, int depth) {
    slice_t entries[64];
    size_t count = 0;
    field_t field;
    while (in.at < in.end) {
        if (!read_field(&in, &field) || field.number != 1 || field.type != BYTES) return 0;
        if (count == 64) return 0;
        entries[count++] = field.bytes;
    }
    return emit_map(sink, entries, count, text, depth);
}

/* One AnyValue: at most one field, which says its type. */
static int emit_value(sink_t *sink, slice_t in, int text, int depth) {
    field_t field;
    if (in.at == in.end) return put(&sink->rows, "\xc0", 1);
    if (!read_field(&in, &field) || in.at != in.end || depth > MAX_DEPTH) return 0;
    switch (field.number << 3 | field.type) {
    case 1 << 3 | BYTES:
        return emit_string(sink, field.bytes, text);
    case 2 << 3 | VARINT:
        return put(&sink->rows, field.value ? "\xc3" : "\xc2", 1);
    case 3 << 3 | VARINT:
        return put_int(&sink->rows, (int64_t)field.value);
    case 4 << 3 | FIXED64:
        return put_tagged(&sink->rows, 0xcb, field.value, 8);
    case 5 << 3 | BYTES:
        return emit_list(sink, field.bytes, text, depth + 1);
    case 6 << 3 | BYTES:
        return emit_kvlist(sink, field.bytes, text, depth + 1);
    case 7 << 3 | BYTES:
        return length(field.bytes) <= sink->limits->string_bytes &&
               put_binary(&sink->rows, field.bytes);
    default:
        return 0;
    }
}

/* The scalars and repeated parts of one message, by field number. */
typedef struct {
    uint64_t value[17];
    slice_t bytes[17];
    uint32_t seen;
    slice_t attributes[MAX_ATTRIBUTES], events[MAX_PARTS], links[MAX_PARTS];
    size_t attribute_count, event_count, link_count;
} message_t;

static int keep(slice_t *parts, size_t *count, size_t room, slice_t part) {
    if (*count == room) return 0;
    parts[(*count)++] = part;
    return 1;
}

/* Take a message apart. `types[n]` is field n's wire type plus one, 0 if there is no field n;
 * `attributes`, `events` and `links` are the numbers of the repeated ones, 0 for none. */
static int take_apart(slice_t in, const uint8_t *types, uint32_t attributes, uint32_t events,
                      uint32_t links, message_t *message) {
    field_t field;
    memset(message->value, 0, sizeof message->value);
    memset(message->bytes, 0, sizeof message->bytes);
    message->seen = 0;
    message->attribute_count = message->event_count = message->link_count = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field) || field.number > 16) return 0;
        if (types[field.number] != field.type + 1) return 0;
        int kept = 1;
        if (field.number == attributes)
            kept = keep(message->attributes, &message->attribute_count, MAX_ATTRIBUTES, field.bytes);
        else if (field.number == events)
            kept = keep(message->events, &message->event_count, MAX_PARTS, field.bytes);
        else if (field.number == links)
            kept = keep(message->links, &message->link_count, MAX_PARTS, field.bytes);
        else if (message->seen & 1u << field.number)
            return 0;
        else if (field.type == BYTES)
            message->bytes[field.number] = field.bytes;
        else
            message->value[field.number] = field.value;
        if (!kept) return 0;
        message->seen |= 1u << field.number;
    }
    return 1;
}

static int is_zero(slice_t s) {
    while (s.at < s.end)
        if (*s.at++) return 0;
    return 1;
}

static int emit_attributes(sink_t *sink, const message_t *message, int text) {
    return emit_map(sink, message->attributes, message->attribute_count, text, 0);
}

static int fits(uint64_t count) { return count <= UINT32_MAX; }
static int is_time(uint64_t ns) { return ns <= INT64_MAX; }

static const uint8_t EVENT_TYPES[17] = {0, 1 + FIXED64, 1 + BYTES, 1 + BYTES, 1 + VARINT};

static int emit_event(sink_t *sink, slice_t in, message_t *part) {
    return take_apart(in, EVENT_TYPES, 3, 0, 0, part) && is_time(part->value[1]) &&
           fits(part->value[4]) && put_array(&sink->rows, 4) &&
           put_uint(&sink->rows, part->value[1]) && emit_string(sink, part->bytes[2], 1) &&
           emit_attributes(sink, part, 1) && put_uint(&sink->rows, part->value[4]);
}

static const uint8_t LINK_TYPES[17] = {0,         1 + BYTES,  1 + BYTES,  1 + BYTES,
                                       1 + BYTES, 1 + VARINT, 1 + FIXED32};

static int emit_link(sink_t *sink, slice_t in, message_t *part) {
    return take_apart(in, LINK_TYPES, 4, 0, 0, part) && fits(part->value[5]) &&
           length(part->bytes[1]) == 16 && length(part->bytes[2]) == 8 &&
           put_array(&sink->rows, 6) && put_binary(&sink->rows, part->bytes[1]) &&
           put_binary(&sink->rows, part->bytes[2]) && emit_string(sink, part->bytes[3], 0) &&
           emit_attributes(sink, part, 1) && put_uint(&sink->rows, part->value[5]) &&
           put_uint(&sink->rows, part->value[6]);
}

static const uint8_t STATUS_TYPES[17] = {0, 0, 1 + BYTES, 1 + VARINT};
static const uint8_t SPAN_TYPES[17] = {
    0,           1 + BYTES,   1 + BYTES, 1 + BYTES,  1 + BYTES, 1 + BYTES,
    1 + VARINT,  1 + FIXED64, 1 + FIXED64, 1 + BYTES,  1 + VARINT, 1 + BYTES,
    1 + VARINT,  1 + BYTES,   1 + VARINT,  1 + BYTES,  1 + FIXED32};

/* Whether `s` is one of the strings in the text from `at` on. */
static int is_in_text(const sink_t *sink, size_t at, slice_t s) {
    while (at < sink->text.size) {
        const uint8_t *start = sink->text.data + at;
        const uint8_t *nul = memchr(start, 0, sink->text.size - at);
        if (same(s, (slice_t){start, nul})) return 1;
        at += (size_t)(nul - start) + 1;
    }
    return 0;
}

/* Scratch space of one request; too large for a stack. */
typedef struct {
    message_t span, part, status;
} scratch_t;

static int is_ordinary(const message_t *span, const limits_t *limits) {
    size_t parent = length(span->bytes[4]);
    return length(span->bytes[1]) == 16 && !is_zero(span->bytes[1]) &&
           length(span->bytes[2]) == 8 && !is_zero(span->bytes[2]) &&
           (parent == 0 || (parent == 8 && !is_zero(span->bytes[4]))) && span->value[6] <= 5 &&
           span->value[7] != 0 && is_time(span->value[7]) && is_time(span->value[8]) &&
           fits(span->value[10]) && fits(span->value[12]) && fits(span->value[14]) &&
           span->event_count <= limits->events && span->link_count <= limits->links;
}

/* One row of `schema.Span`; its times go to `start_ns` and `end_ns`. */
static int emit_span(sink_t *sink, slice_t in, scratch_t *scratch, uint64_t *start_ns,
                     uint64_t *end_ns) {
    static const slice_t TAG = {(const uint8_t *)"span.v1", (const uint8_t *)"span.v1" + 7};
    message_t *span = &scratch->span, *status = &scratch->status;
    buffer_t *out = &sink->rows;
    size_t text = sink->text.size;
    if (!take_apart(in, SPAN_TYPES, 9, 11, 13, span) || !is_ordinary(span, sink->limits)) return 0;
    if (!take_apart(span->bytes[15], STATUS_TYPES, 0, 0, 0, status) || status->value[3] > 2)
        return 0;
    sink->secret = 0;
    *start_ns = span->value[7];
    *end_ns = span->value[8];
    int ok = put_array(out, 20) && put_string(out, TAG) && put_binary(out, span->bytes[1]) &&
             put_binary(out, span->bytes[2]) && put_binary(out, span->bytes[4]) &&
             emit_string(sink, span->bytes[3], 0) && put_uint(out, span->value[16]) &&
             emit_string(sink, span->bytes[5], 1) && put_uint(out, span->value[6]) &&
             put_uint(out, span->value[7]) && put_uint(out, span->value[8]) &&
             emit_attributes(sink, span, 1) && put_uint(out, span->value[10]) &&
             put_array(out, span->event_count);
    for (size_t i = 0; ok && i < span->event_count; i++)
        ok = emit_event(sink, span->events[i], &scratch->part);
    ok = ok && put_uint(out, span->value[12]) && put_array(out, span->link_count);
    for (size_t i = 0; ok && i < span->link_count; i++)
        ok = emit_link(sink, span->links[i], &scratch->part);
    /* The status message is the exception's, most of the time. */
    slice_t said = status->bytes[2];
    return ok && put_uint(out, span->value[14]) && put_uint(out, status->value[3]) &&
           emit_string(sink, said, length(said) && !is_in_text(sink, text, said)) &&
           put(out, "\x90\x90", 2) &&
           (!sink->secret || put(&sink->text, "secret=key", 11));
}

static const uint8_t RESOURCE_TYPES[17] = {0, 1 + BYTES, 1 + VARINT};
static const uint8_t SCOPE_TYPES[17] = {0, 1 + BYTES, 1 + BYTES, 1 + BYTES, 1 + VARINT};

/* `schema.Context` of a Resource and an InstrumentationScope. */
static int emit_context(sink_t *sink, slice_t resource, slice_t resource_schema, slice_t scope,
                        slice_t scope_schema, scratch_t *scratch) {
    buffer_t *out = &sink->rows;
    message_t *part = &scratch->part;
    return take_apart(resource, RESOURCE_TYPES, 1, 0, 0, part) && fits(part->value[2]) &&
           put_array(out, 11) && emit_attributes(sink, part, 0) &&
           put_uint(out, part->value[2]) && put(out, "\x90", 1) &&
           emit_string(sink, resource_schema, 0) &&
           take_apart(scope, SCOPE_TYPES, 3, 0, 0, part) && fits(part->value[4]) &&
           emit_string(sink, part->bytes[1], 0) && emit_string(sink, part->bytes[2], 0) &&
           emit_attributes(sink, part, 0) && put_uint(out, part->value[4]) &&
           emit_string(sink, scope_schema, 0) && put(out, "\x90\x90", 2);
}

#endif
