/* The values, attributes and fields of OTLP messages to msgpack.
 *
 * Knows what the reference decoder makes of a span: unknown fields are passed over, of a field that
 * comes again the last one counts, of a key that comes again the last value. What is over a limit
 * is cut as `limits.py` and `kept.py` say. What has to be merged is ODD, and so is a key that is
 * too long, as two keys may become one: the reference takes that span. What is malformed, is no
 * UTF-8 or breaks a rule is BAD: the reference says so, and gives the reason.
 */
#ifndef SPANLEDGER_OTLP_H
#define SPANLEDGER_OTLP_H

#include "keys.h"

/* MAX_PARTS bounds memory. Messages nested deeper than MAX_BELOW under a value that is cut may be
 * too deep for the reference, which then says so. */
enum { MAX_PARTS = 1 << 18, MAX_DEPTH = 16, MAX_BELOW = 45, MAX_NESTED = 100 };

/* How many parts were left out or shortened for a limit, in the order of their names. */
enum { CUT_ATTRIBUTE, CUT_DEPTH, CUT_EVENT, CUT_LINK, CUT_STRING, CUT_KINDS };
typedef struct {
    size_t of[CUT_KINDS];
} cuts_t;

/* Where a group's output goes: rows back to back, and the strings that may be scrubbed. */
typedef struct {
    buffer_t rows;
    buffer_t text; /* each string is followed by a NUL */
    int secret;    /* whether a key of this row names a secret */
    int keyed;     /* whether any row has an idempotency key */
    int odd;       /* whether this row needs the reference for more than a reason */
    cuts_t cuts;       /* of this row */
    pairs_t *pairs;
    const limits_t *limits;
} sink_t;

static int odd(sink_t *sink) { return sink->odd = 1, 0; }

/* As much of a string as its limit allows, never a part of a character. */
static slice_t cut_string(sink_t *sink, slice_t s) {
    if (length(s) <= sink->limits->string_bytes) return s;
    sink->cuts.of[CUT_STRING]++;
    s.end = s.at + sink->limits->string_bytes;
    while (s.end > s.at && (*s.end & 0xc0) == 0x80) s.end--;
    return s;
}

/* Strings of contexts, keys and states are not scrubbed with the rows: `text` 0 leaves them out. */
static int emit_string(sink_t *sink, slice_t s, int text) {
    if (!is_utf8(s)) return 0;
    s = cut_string(sink, s);
    if (text && length(s) && !(put(&sink->text, s.at, length(s)) && put(&sink->text, "", 1)))
        return 0;
    return put_string(&sink->rows, s);
}

static int emit_key(sink_t *sink, slice_t s) {
    if (!is_utf8(s)) return 0;
    return length(s) <= sink->limits->string_bytes ? put_string(&sink->rows, s) : odd(sink);
}

static int emit_binary(sink_t *sink, slice_t s) {
    if (length(s) > sink->limits->string_bytes) {
        sink->cuts.of[CUT_STRING]++;
        s.end = s.at + sink->limits->string_bytes;
    }
    return put_binary(&sink->rows, s);
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

/* A KeyValue; `value` stays empty if there is none. */
static int read_pair(sink_t *sink, slice_t in, pair_t *pair) {
    field_t field;
    int valued = 0;
    *pair = (pair_t){0};
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

/* Check a value that is not written: it may be malformed all the same. What was cut in it counts
 * if `is_counted`, but for its strings, which are cut last. */
static int is_sound(sink_t *sink, slice_t value, int depth, int is_counted) {
    size_t rows = sink->rows.size, text = sink->text.size;
    cuts_t cuts = sink->cuts;
    int sound = emit_value(sink, value, 0, depth);
    if (is_counted) {
        cuts.of[CUT_ATTRIBUTE] = sink->cuts.of[CUT_ATTRIBUTE];
        cuts.of[CUT_DEPTH] = sink->cuts.of[CUT_DEPTH];
    }
    sink->rows.size = rows;
    sink->text.size = text;
    sink->cuts = cuts;
    return sound;
}

/* The pairs of one map: those of `sink->pairs` from `base` on. */
typedef struct {
    size_t base, count;
    table_t table; /* once they are more than a few */
    int depth, is_counted;
} map_t;

/* Read a KeyValue message; one that comes again gives its value to the first of its key. */
static int add_pair(sink_t *sink, map_t *map, slice_t in) {
    pairs_t *pairs = sink->pairs;
    pair_t pair;
    if (!read_pair(sink, in, &pair)) return 0;
    pair.hash = map->table.slots ? hash_of(sink->limits->seed, pair.key) : mark_of(pair.key);
    pair_t *own = pairs->at + map->base;
    size_t place = map->count ? place_of(&map->table, own, map->count, &pair) : 0;
    if (place < map->count) {
        slice_t replaced = own[place].value;
        own[place].value = pair.value;
        return is_sound(sink, replaced, map->depth, map->is_counted);
    }
    if (!make_room((void **)&pairs->at, pairs->count, &pairs->room, sizeof pair))
        return sink->rows.short_of_memory = 1, 0;
    pairs->at[pairs->count++] = pair;
    map->count++;
    if (map->count <= FEW_PAIRS) return 1;
    if (map->table.slots) fill_slot(&map->table, pair.hash, place);
    return widen(&map->table, pairs->at + map->base, map->count, sink->limits->seed)
           || (sink->rows.short_of_memory = 1, 0);
}

static int emit_pair(sink_t *sink, pair_t pair, int text, int depth) {
    if (pair.is_cut) return is_utf8(pair.key) && is_sound(sink, pair.value, depth, 0);
    if (!emit_key(sink, pair.key)) return 0;
    if (text && is_secret(pair.key)) sink->secret = 1;
    if (text && is_idempotency_key(pair.key)) sink->keyed = 1;
    return emit_value(sink, pair.value, text, depth);
}

static int emit_pairs(sink_t *sink, const map_t *map, size_t surplus, int text) {
    if (!put_map(&sink->rows, map->count - surplus)) return 0;
    for (size_t i = 0; i < map->count; i++)
        if (!emit_pair(sink, sink->pairs->at[map->base + i], text, map->depth)) return 0;
    return 1;
}

/* Write `entries`, KeyValue messages; `gone` is how many a repeated key or a cut took. */
static int emit_map(sink_t *sink, const list_t *entries, int text, size_t *gone) {
    size_t most = sink->limits->attributes;
    map_t map = {.base = sink->pairs->count, .is_counted = entries->count <= most};
    int ok = 1;
    for (size_t i = 0; ok && i < entries->count; i++) ok = add_pair(sink, &map, entries->at[i]);
    size_t surplus = map.count > most ? map.count - most : 0;
    if (surplus) cut_pairs(sink->limits, sink->pairs->at + map.base, map.count, most);
    sink->cuts.of[CUT_ATTRIBUTE] += surplus;
    *gone = entries->count - map.count + surplus;
    ok = ok && emit_pairs(sink, &map, surplus, text);
    sink->pairs->count = map.base;
    free(map.table.slots);
    return ok;
}

/* A KeyValueList; of too many pairs the first ones stay. */
static int emit_kvlist(sink_t *sink, slice_t in, int text, int depth) {
    map_t map = {.base = sink->pairs->count, .depth = depth, .is_counted = 1};
    size_t left = sink->limits->attributes;
    field_t field;
    int ok = 1;
    while (ok && in.at < in.end) {
        if (!(ok = read_field(&in, &field)) || field.number != 1 || field.type != BYTES) continue;
        if (left) {
            left--;
            ok = add_pair(sink, &map, field.bytes);
        } else {
            pair_t pair;
            sink->cuts.of[CUT_ATTRIBUTE]++;
            ok = read_pair(sink, field.bytes, &pair) && is_utf8(pair.key) &&
                 is_sound(sink, pair.value, depth, 0);
        }
    }
    ok = ok && emit_pairs(sink, &map, 0, text);
    sink->pairs->count = map.base;
    free(map.table.slots);
    return ok;
}

/* The last field of an AnyValue that is known; its number 0 if there is none. Number 8 points into
 * the strings of profiles: spans have none, so it says nothing, and takes the place of others. */
static int read_value(sink_t *sink, slice_t in, field_t *value) {
    static const uint8_t TYPES[9] = {0,         1 + BYTES, 1 + VARINT, 1 + VARINT, 1 + FIXED64,
                                     1 + BYTES, 1 + BYTES, 1 + BYTES,  1 + VARINT};
    field_t field;
    value->number = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number > 8 || TYPES[field.number] != field.type + 1) continue;
        if (value->number == 1 && !is_utf8(value->bytes)) return 0;
        if (value->number == 5 || value->number == 6) return odd(sink);
        *value = field;
    }
    return 1;
}

enum { AS_VALUE, AS_LIST, AS_MAP, AS_PAIR };

/* Whether a message that is cut for its depth is well-formed. */
static int is_message(sink_t *sink, slice_t in, int kind, int below) {
    static const uint8_t PARTS[4][8] = {[AS_VALUE] = {[5] = AS_LIST, [6] = AS_MAP},
                                        [AS_LIST] = {[1] = AS_VALUE + 4}, [AS_MAP] = {[1] = AS_PAIR},
                                        [AS_PAIR] = {[2] = AS_VALUE + 4}};
    field_t field;
    if (below == MAX_BELOW) return odd(sink);
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.type != BYTES || field.number > 7) continue;
        int is_text = field.number == 1 && (kind == AS_VALUE || kind == AS_PAIR);
        if (is_text && !is_utf8(field.bytes)) return 0;
        int part = PARTS[kind][field.number];
        if (part && !is_message(sink, field.bytes, part & 3, below + 1)) return 0;
    }
    return 1;
}

/* An array or a map, or nothing in its place if it is nested too deeply. */
static int emit_container(sink_t *sink, const field_t *field, int text, int depth) {
    int is_list = field->number == 5;
    if (depth < MAX_DEPTH)
        return (is_list ? emit_list : emit_kvlist)(sink, field->bytes, text, depth + 1);
    sink->cuts.of[CUT_DEPTH]++;
    return is_message(sink, field->bytes, is_list ? AS_LIST : AS_MAP, 0) &&
           put(&sink->rows, "\xc0", 1);
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
    case 5: case 6:
        return emit_container(sink, &field, text, depth);
    case 7:
        return emit_binary(sink, field.bytes);
    default:
        return put(&sink->rows, "\xc0", 1);
    }
}

/* The scalars and repeated parts of one message, by field number. */
typedef struct {
    uint64_t value[17];
    slice_t bytes[17];
    uint32_t seen;
    list_t attributes, events, links;
} message_t;

static void free_message(message_t *message) {
    free(message->attributes.at);
    free(message->events.at);
    free(message->links.at);
}

static int keep(sink_t *sink, list_t *parts, slice_t part) {
    if (parts->count == MAX_PARTS) return odd(sink);
    if (!make_room((void **)&parts->at, parts->count, &parts->room, sizeof part))
        return sink->rows.short_of_memory = 1, 0;
    parts->at[parts->count++] = part;
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
    message->attributes.count = message->events.count = message->links.count = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number > 16 || types[field.number] != field.type + 1) continue;
        int kept = 1;
        if (field.number == attributes)
            kept = keep(sink, &message->attributes, field.bytes);
        else if (field.number == events)
            kept = keep(sink, &message->events, field.bytes);
        else if (field.number == links)
            kept = keep(sink, &message->links, field.bytes);
        else if (field.type != BYTES)
            message->value[field.number] = field.value;
        else if (message->seen & 1u << field.number)
            return odd(sink);
        else
            message->bytes[field.number] = field.bytes;
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

/* A dropped count and what is gone here; a uint32 keeps the low half of a varint. */
static int put_dropped(sink_t *sink, uint64_t dropped, size_t gone) {
    dropped = (dropped & UINT32_MAX) + gone;
    return put_uint(&sink->rows, dropped < UINT32_MAX ? dropped : UINT32_MAX);
}

/* The attributes of a message, and how many it had dropped or are gone here. */
static int emit_attributes(sink_t *sink, message_t *message, int text, uint64_t dropped) {
    size_t gone;
    return emit_map(sink, &message->attributes, text, &gone) && put_dropped(sink, dropped, gone);
}

static int is_time(uint64_t ns) { return ns <= INT64_MAX; }

#endif
