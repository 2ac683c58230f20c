/* OTLP spans to msgpack rows.
 *
 * Knows what the reference decoder makes of a span that loses nothing: unknown fields are passed
 * over, of a field that comes again the last one counts, of a key that comes again the last value.
 * What has to be cut or merged is ODD: the reference takes that span. What is malformed, is no
 * UTF-8 or breaks a rule is BAD: the reference says so, and gives the reason.
 */
#ifndef SPANLEDGER_OTLP_H
#define SPANLEDGER_OTLP_H

#include "pack.h"

enum { MAX_ATTRIBUTES = 1024, MAX_PARTS = 1024, MAX_PAIRS = 64, MAX_DEPTH = 16 };

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
    int odd;       /* whether this row needs the reference for more than a reason */
    const limits_t *limits;
} sink_t;

static int odd(sink_t *sink) { return sink->odd = 1, 0; }

/* Strings of contexts, keys and states are not scrubbed with the rows: `text` 0 leaves them out. */
static int emit_string(sink_t *sink, slice_t s, int text) {
    if (!is_utf8(s)) return 0;
    if (length(s) > sink->limits->string_bytes) return odd(sink);
    if (text && length(s) && !(put(&sink->text, s.at, length(s)) && put(&sink->text, "", 1)))
        return 0;
    return put_string(&sink->rows, s);
}

static int emit_value(sink_t *sink, slice_t in, int text, int depth);

static int emit_list(sink_t *sink, slice_t in, int text, int depth) {
    slice_t scan = in;
    field_t field;
    size_t count = 0;
    while (scan.at < scan.end) {
        if (!read_field(&scan, &field)) return 0;
        count += field.number == 1 && field.type == BYTES;
    }
    if (!put_array(&sink->rows, count)) return 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number == 1 && field.type == BYTES && !emit_value(sink, field.bytes, text, depth))
            return 0;
    }
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

typedef struct {
    slice_t key, value;
} pair_t;

/* A KeyValue; `value` stays empty if there is none. */
static int read_pair(sink_t *sink, slice_t in, pair_t *pair) {
    field_t field;
    int valued = 0;
    *pair = (pair_t){{0}, {0}};
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.type != BYTES) continue;
        if (field.number == 1) {
            if (!is_utf8(pair->key)) return 0;
            pair->key = field.bytes;
        } else if (field.number == 2) {
            if (valued++) return odd(sink); /* two messages that would have to be merged */
            pair->value = field.bytes;
        }
    }
    return 1;
}

/* Check a value that another one of its key replaces: it may be malformed all the same. */
static int is_sound(sink_t *sink, slice_t value, int depth) {
    size_t rows = sink->rows.size, text = sink->text.size;
    int sound = emit_value(sink, value, 0, depth);
    sink->rows.size = rows;
    sink->text.size = text;
    return sound;
}

/* `entries` are `count` KeyValue messages; what a repeated key replaces is added to `repeated`. */
static int emit_map(sink_t *sink, const slice_t *entries, size_t count, pair_t *pairs, int text,
                    int depth, size_t *repeated) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        pair_t *pair = &pairs[kept];
        if (!read_pair(sink, entries[i], pair)) return 0;
        size_t j = 0;
        while (j < kept && !same(pairs[j].key, pair->key)) j++;
        if (j < kept) {
            if (!is_sound(sink, pairs[j].value, depth)) return 0;
            pairs[j].value = pair->value;
        } else {
            kept++;
        }
    }
    if (kept > sink->limits->attributes) return odd(sink);
    *repeated = count - kept;
    if (!put_map(&sink->rows, kept)) return 0;
    for (size_t i = 0; i < kept; i++) {
        if (!emit_string(sink, pairs[i].key, 0)) return 0;
        if (text && is_secret(pairs[i].key)) sink->secret = 1;
        if (text && is_idempotency_key(pairs[i].key)) sink->keyed = 1;
        if (!emit_value(sink, pairs[i].value, text, depth)) return 0;
    }
    return 1;
}

static int emit_kvlist(sink_t *sink, slice_t in, int text, int depth) {
    slice_t entries[MAX_PAIRS];
    pair_t pairs[MAX_PAIRS];
    size_t count = 0, repeated;
    field_t field;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number != 1 || field.type != BYTES) continue;
        if (count == MAX_PAIRS || count == sink->limits->attributes) return odd(sink);
        entries[count++] = field.bytes;
    }
    return emit_map(sink, entries, count, pairs, text, depth, &repeated);
}

/* The last field of an AnyValue that is known; its number 0 if there is none. */
static int read_value(sink_t *sink, slice_t in, field_t *value) {
    static const uint8_t TYPES[8] = {0, 1 + BYTES, 1 + VARINT, 1 + VARINT,
                                     1 + FIXED64, 1 + BYTES, 1 + BYTES, 1 + BYTES};
    field_t field;
    value->number = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number > 7 || TYPES[field.number] != field.type + 1) continue;
        if (value->number == 1 && !is_utf8(value->bytes)) return 0;
        if (value->number == 5 || value->number == 6) return odd(sink);
        *value = field;
    }
    return 1;
}

/* One AnyValue: at most one field, which says its type. */
static int emit_value(sink_t *sink, slice_t in, int text, int depth) {
    field_t field;
    if (!read_value(sink, in, &field)) return 0;
    switch (field.number) {
    case 1:
        return emit_string(sink, field.bytes, text);
    case 2:
        return put(&sink->rows, field.value ? "\xc3" : "\xc2", 1);
    case 3:
        return put_int(&sink->rows, (int64_t)field.value);
    case 4:
        return put_tagged(&sink->rows, 0xcb, field.value, 8);
    case 5:
        return depth < MAX_DEPTH ? emit_list(sink, field.bytes, text, depth + 1) : odd(sink);
    case 6:
        return depth < MAX_DEPTH ? emit_kvlist(sink, field.bytes, text, depth + 1) : odd(sink);
    case 7:
        return length(field.bytes) <= sink->limits->string_bytes
                   ? put_binary(&sink->rows, field.bytes) : odd(sink);
    default:
        return put(&sink->rows, "\xc0", 1);
    }
}

/* The scalars and repeated parts of one message, by field number. */
typedef struct {
    uint64_t value[17];
    slice_t bytes[17];
    uint32_t seen;
    slice_t attributes[MAX_ATTRIBUTES], events[MAX_PARTS], links[MAX_PARTS];
    pair_t pairs[MAX_ATTRIBUTES];
    size_t attribute_count, event_count, link_count;
} message_t;

static int keep(slice_t *parts, size_t *count, size_t room, slice_t part) {
    if (*count == room) return 0;
    parts[(*count)++] = part;
    return 1;
}

/* Take a message apart. `types[n]` is field n's wire type plus one, 0 if there is no field n;
 * `attributes`, `events` and `links` are the numbers of the repeated ones, 0 for none. Bytes that
 * come again would have to be merged or checked: odd. */
static int take_apart(sink_t *sink, slice_t in, const uint8_t *types, uint32_t attributes,
                      uint32_t events, uint32_t links, message_t *message) {
    field_t field;
    memset(message->value, 0, sizeof message->value);
    memset(message->bytes, 0, sizeof message->bytes);
    message->seen = 0;
    message->attribute_count = message->event_count = message->link_count = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number > 16 || types[field.number] != field.type + 1) continue;
        int kept = 1;
        if (field.number == attributes)
            kept = keep(message->attributes, &message->attribute_count, MAX_ATTRIBUTES, field.bytes);
        else if (field.number == events)
            kept = keep(message->events, &message->event_count, MAX_PARTS, field.bytes);
        else if (field.number == links)
            kept = keep(message->links, &message->link_count, MAX_PARTS, field.bytes);
        else if (field.type != BYTES)
            message->value[field.number] = field.value;
        else if (message->seen & 1u << field.number)
            return odd(sink);
        else
            message->bytes[field.number] = field.bytes;
        if (!kept) return odd(sink);
        message->seen |= 1u << field.number;
    }
    return 1;
}

static int is_zero(slice_t s) {
    while (s.at < s.end)
        if (*s.at++) return 0;
    return 1;
}

/* The attributes of a message, and how many it had dropped or a repeated key replaces. */
static int emit_attributes(sink_t *sink, message_t *message, int text, uint64_t dropped) {
    size_t repeated;
    if (!emit_map(sink, message->attributes, message->attribute_count, message->pairs, text, 0,
                  &repeated))
        return 0;
    dropped = (dropped & UINT32_MAX) + repeated; /* a uint32 keeps the low half of a varint */
    return put_uint(&sink->rows, dropped < UINT32_MAX ? dropped : UINT32_MAX);
}

static int is_time(uint64_t ns) { return ns <= INT64_MAX; }
static uint64_t as_uint32(uint64_t value) { return value & UINT32_MAX; }

static const uint8_t EVENT_TYPES[17] = {0, 1 + FIXED64, 1 + BYTES, 1 + BYTES, 1 + VARINT};

static int emit_event(sink_t *sink, slice_t in, message_t *part) {
    return take_apart(sink, in, EVENT_TYPES, 3, 0, 0, part) && is_time(part->value[1]) &&
           put_array(&sink->rows, 4) && put_uint(&sink->rows, part->value[1]) &&
           emit_string(sink, part->bytes[2], 1) && emit_attributes(sink, part, 1, part->value[4]);
}

static const uint8_t LINK_TYPES[17] = {0,         1 + BYTES,  1 + BYTES,  1 + BYTES,
                                       1 + BYTES, 1 + VARINT, 1 + FIXED32};

static int is_length(slice_t s, size_t size) { return length(s) == 0 || length(s) == size; }

static int emit_link(sink_t *sink, slice_t in, message_t *part) {
    return take_apart(sink, in, LINK_TYPES, 4, 0, 0, part) && is_length(part->bytes[1], 16) &&
           is_length(part->bytes[2], 8) && put_array(&sink->rows, 6) &&
           put_binary(&sink->rows, part->bytes[1]) && put_binary(&sink->rows, part->bytes[2]) &&
           emit_string(sink, part->bytes[3], 0) &&
           emit_attributes(sink, part, 1, part->value[5]) &&
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

/* As `assembly.span_fault` says. */
static int is_valid(const message_t *span) {
    return length(span->bytes[1]) == 16 && !is_zero(span->bytes[1]) &&
           length(span->bytes[2]) == 8 && !is_zero(span->bytes[2]) &&
           is_length(span->bytes[4], 8) && span->value[7] != 0 && is_time(span->value[7]) &&
           is_time(span->value[8]);
}

/* One row of `schema.Span`; its times go to `start_ns` and `end_ns`. */
static int emit_span(sink_t *sink, slice_t in, scratch_t *scratch, uint64_t *start_ns,
                     uint64_t *end_ns) {
    static const slice_t TAG = {(const uint8_t *)"span.v1", (const uint8_t *)"span.v1" + 7};
    message_t *span = &scratch->span, *status = &scratch->status;
    buffer_t *out = &sink->rows;
    size_t text = sink->text.size;
    sink->secret = sink->odd = 0;
    if (!take_apart(sink, in, SPAN_TYPES, 9, 11, 13, span) || !is_valid(span)) return 0;
    if (!take_apart(sink, span->bytes[15], STATUS_TYPES, 0, 0, 0, status)) return 0;
    if (span->event_count > sink->limits->events || span->link_count > sink->limits->links)
        return odd(sink);
    if (is_zero(span->bytes[4])) span->bytes[4] = (slice_t){0}; /* zeros say "no parent" */
    *start_ns = span->value[7];
    *end_ns = span->value[8];
    int ok = put_array(out, 20) && put_string(out, TAG) && put_binary(out, span->bytes[1]) &&
             put_binary(out, span->bytes[2]) && put_binary(out, span->bytes[4]) &&
             emit_string(sink, span->bytes[3], 0) && put_uint(out, span->value[16]) &&
             emit_string(sink, span->bytes[5], 1) && put_int(out, (int32_t)span->value[6]) &&
             put_uint(out, span->value[7]) && put_uint(out, span->value[8]) &&
             emit_attributes(sink, span, 1, span->value[10]) && put_array(out, span->event_count);
    for (size_t i = 0; ok && i < span->event_count; i++)
        ok = emit_event(sink, span->events[i], &scratch->part);
    ok = ok && put_uint(out, as_uint32(span->value[12])) && put_array(out, span->link_count);
    for (size_t i = 0; ok && i < span->link_count; i++)
        ok = emit_link(sink, span->links[i], &scratch->part);
    /* The status message is the exception's, most of the time. */
    slice_t said = status->bytes[2];
    return ok && put_uint(out, as_uint32(span->value[14])) &&
           put_int(out, (int32_t)status->value[3]) &&
           emit_string(sink, said, length(said) && !is_in_text(sink, text, said)) &&
           put(out, "\x90\x90", 2) &&
           (!sink->secret || put(&sink->text, "secret=key", 11));
}

/* Entity references (3) are the reference's. */
static const uint8_t RESOURCE_TYPES[17] = {0, 1 + BYTES, 1 + VARINT, 1 + BYTES};
static const uint8_t SCOPE_TYPES[17] = {0, 1 + BYTES, 1 + BYTES, 1 + BYTES, 1 + VARINT};

/* How `schema.Context` begins: a Resource. */
static int emit_resource(sink_t *sink, slice_t resource, slice_t schema, message_t *part) {
    buffer_t *out = &sink->rows;
    return take_apart(sink, resource, RESOURCE_TYPES, 1, 0, 0, part) &&
           !(part->seen & 1u << 3) && put_array(out, 11) &&
           emit_attributes(sink, part, 0, part->value[2]) && put(out, "\x90", 1) &&
           emit_string(sink, schema, 0);
}

/* How it goes on: an InstrumentationScope. */
static int emit_scope(sink_t *sink, slice_t scope, slice_t schema, message_t *part) {
    return take_apart(sink, scope, SCOPE_TYPES, 3, 0, 0, part) &&
           emit_string(sink, part->bytes[1], 0) && emit_string(sink, part->bytes[2], 0) &&
           emit_attributes(sink, part, 0, part->value[4]) && emit_string(sink, schema, 0) &&
           put(&sink->rows, "\x90\x90", 2);
}

#endif
