/* The values, attributes and fields of OTLP messages to msgpack.
 *
 * Knows what the reference decoder makes of a span that loses nothing: unknown fields are passed
 * over, of a field that comes again the last one counts, of a key that comes again the last value.
 * Of too many attributes, events and links it keeps those that `limits.py` and `kept.py` say.
 * What else has to be cut or merged is ODD: the reference takes that span. What is malformed, is no
 * UTF-8 or breaks a rule is BAD: the reference says so, and gives the reason.
 */
#ifndef SPANLEDGER_OTLP_H
#define SPANLEDGER_OTLP_H

#include "pack.h"

enum { MAX_ATTRIBUTES = 2048, MAX_PARTS = 16384, MAX_PAIRS = 256, MAX_DEPTH = 16, MAX_NESTED = 100 };

typedef struct {
    size_t string_bytes;
    size_t attributes;
    size_t events;
    size_t links;
    const char *kept_keys, *kept_prefixes, *kept_events; /* words, a newline after each */
} limits_t;

/* How many parts were left out for a limit. */
typedef struct {
    size_t attributes, events, links;
} cuts_t;

/* Where a group's output goes: rows back to back, and the strings that may be scrubbed. */
typedef struct {
    buffer_t rows;
    buffer_t text; /* each string is followed by a NUL */
    int secret;    /* whether a key of this row names a secret */
    int keyed;     /* whether any row has an idempotency key */
    int odd;       /* whether this row needs the reference for more than a reason */
    cuts_t cuts;       /* of this row */
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
    uint8_t is_cut;
} pair_t;

static uint32_t hash_of(slice_t s) {
    uint32_t hash = 2166136261u;
    while (s.at < s.end) hash = (hash ^ *s.at++) * 16777619u;
    return hash;
}

static int is_in_words(const char *words, slice_t s) {
    if (!length(s)) return 0;
    for (size_t size; (size = strcspn(words, "\n")); words += size + 1)
        if (size == length(s) && !memcmp(words, s.at, size)) return 1;
    return 0;
}

static int begins_with_any(const char *words, slice_t s) {
    for (size_t size; (size = strcspn(words, "\n")); words += size + 1)
        if (size <= length(s) && !memcmp(words, s.at, size)) return 1;
    return 0;
}

/* Mark all but `most` of `pairs` as cut; which ones stay, `Kept.attributes` says. */
static void cut_pairs(const limits_t *limits, pair_t *pairs, size_t count, size_t most) {
    for (size_t i = 0; i < count; i++)
        pairs[i].is_cut = is_in_words(limits->kept_keys, pairs[i].key) ? 1
                          : begins_with_any(limits->kept_prefixes, pairs[i].key) ? 2 : 3;
    for (uint8_t rank = 1; rank <= 3; rank++)
        for (size_t i = 0; i < count; i++)
            if (pairs[i].is_cut == rank && most) pairs[i].is_cut = 0, most--;
}

/* A KeyValue; `value` stays empty if there is none. */
static int read_pair(sink_t *sink, slice_t in, pair_t *pair) {
    field_t field;
    int valued = 0;
    *pair = (pair_t){{0}, {0}, 0};
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

/* Read `count` KeyValue messages; one that comes again gives its value to the first of its key.
 * Hashes are compared first, as very many keys are to cost little. */
static int read_pairs(sink_t *sink, const slice_t *entries, size_t count, pair_t *pairs, int depth,
                      size_t *kept) {
    uint32_t hashes[MAX_ATTRIBUTES];
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        pair_t *pair = &pairs[*kept];
        if (!read_pair(sink, entries[i], pair)) return 0;
        uint32_t hash = hash_of(pair->key);
        size_t j = 0;
        while (j < *kept && !(hashes[j] == hash && same(pairs[j].key, pair->key))) j++;
        if (j < *kept) {
            if (!is_sound(sink, pairs[j].value, depth)) return 0;
            pairs[j].value = pair->value;
        } else {
            hashes[(*kept)++] = hash;
        }
    }
    return 1;
}

/* `entries` are `count` KeyValue messages; `gone` is how many a repeated key or a cut took. */
static int emit_map(sink_t *sink, const slice_t *entries, size_t count, pair_t *pairs, int text,
                    int depth, size_t *gone) {
    size_t kept, most = sink->limits->attributes;
    if (!read_pairs(sink, entries, count, pairs, depth, &kept)) return 0;
    size_t surplus = kept > most ? kept - most : 0;
    if (surplus) cut_pairs(sink->limits, pairs, kept, most);
    sink->cuts.attributes += surplus;
    *gone = count - kept + surplus;
    if (!put_map(&sink->rows, kept - surplus)) return 0;
    for (size_t i = 0; i < kept; i++) {
        if (pairs[i].is_cut) {
            if (!is_utf8(pairs[i].key) || !is_sound(sink, pairs[i].value, depth)) return 0;
            continue;
        }
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
    size_t count = 0, gone;
    field_t field;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number != 1 || field.type != BYTES) continue;
        if (count == MAX_PAIRS || count == sink->limits->attributes) return odd(sink);
        entries[count++] = field.bytes;
    }
    return emit_map(sink, entries, count, pairs, text, depth, &gone);
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

/* A dropped count and what is gone here; a uint32 keeps the low half of a varint. */
static int put_dropped(sink_t *sink, uint64_t dropped, size_t gone) {
    dropped = (dropped & UINT32_MAX) + gone;
    return put_uint(&sink->rows, dropped < UINT32_MAX ? dropped : UINT32_MAX);
}

/* The attributes of a message, and how many it had dropped or are gone here. */
static int emit_attributes(sink_t *sink, message_t *message, int text, uint64_t dropped) {
    size_t gone;
    if (!emit_map(sink, message->attributes, message->attribute_count, message->pairs, text, 0,
                  &gone))
        return 0;
    return put_dropped(sink, dropped, gone);
}

static int is_time(uint64_t ns) { return ns <= INT64_MAX; }

#endif
