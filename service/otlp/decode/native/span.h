/* Spans and contexts to msgpack rows, with what too many parts of them leave.
 *
 * `weight_of` says what a message costs the reference, which takes what is odd.
 */
#ifndef SPANLEDGER_SPAN_H
#define SPANLEDGER_SPAN_H

#include "otlp.h"

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

/* The last name of an event; empty if it is malformed, which shows when it is written. */
static slice_t event_name(slice_t in) {
    slice_t name = {0};
    field_t field = {0};
    while (in.at < in.end && read_field(&in, &field))
        if (field.number == 2 && field.type == BYTES) name = field.bytes;
    return name;
}

typedef int emit_part_t(sink_t *sink, slice_t in, message_t *part);

/* Write a part; or only see that it is well-formed, if it is cut: its times and ids may be bad. */
static int emit_or_check(sink_t *sink, slice_t in, message_t *part, emit_part_t *emit, int is_cut) {
    size_t rows = sink->rows.size, text = sink->text.size;
    int secret = sink->secret, keyed = sink->keyed;
    cuts_t cuts = sink->cuts;
    if (!emit(sink, in, part)) return is_cut ? odd(sink) : 0;
    if (!is_cut) return 1;
    sink->rows.size = rows;
    sink->text.size = text;
    sink->secret = secret;
    sink->keyed = keyed;
    sink->cuts = cuts;
    return 1;
}

/* The events of a span, at most as many as the limit: as `Kept.span_events` says. */
static int emit_events(sink_t *sink, const message_t *span, message_t *part) {
    size_t count = span->events.count, most = sink->limits->events, wanted = 0;
    size_t surplus = count > most ? count - most : 0;
    for (size_t i = 0; surplus && i < count; i++)
        wanted += is_in_words(sink->limits->kept_events, event_name(span->events.at[i]));
    size_t early = wanted > most ? wanted - most : 0; /* wanted ones before the last `most` */
    size_t others = wanted > most ? 0 : most - wanted;
    if (!put_array(&sink->rows, count - surplus)) return 0;
    for (size_t i = 0; i < count; i++) {
        int is_cut = 0;
        if (surplus) {
            int is_wanted = is_in_words(sink->limits->kept_events, event_name(span->events.at[i]));
            size_t *left = is_wanted ? &early : &others;
            is_cut = is_wanted == (*left > 0);
            *left -= *left > 0;
        }
        if (!emit_or_check(sink, span->events.at[i], part, emit_event, is_cut)) return 0;
    }
    sink->cuts.of[CUT_EVENT] += surplus;
    return put_dropped(sink, span->value[12], surplus);
}

/* The first of a span's links. */
static int emit_links(sink_t *sink, const message_t *span, message_t *part) {
    size_t count = span->links.count, most = sink->limits->links;
    if (!put_array(&sink->rows, count < most ? count : most)) return 0;
    for (size_t i = 0; i < count; i++)
        if (!emit_or_check(sink, span->links.at[i], part, emit_link, i >= most)) return 0;
    size_t surplus = count > most ? count - most : 0;
    sink->cuts.of[CUT_LINK] += surplus;
    return put_dropped(sink, span->value[14], surplus);
}

/* How a row ends: nothing scrubbed, and what was cut. */
static int emit_cuts(sink_t *sink) {
    static const char *const WORDS[CUT_KINDS] = {"attribute", "depth", "event", "link", "string"};
    buffer_t *out = &sink->rows;
    size_t count = 0;
    for (size_t i = 0; i < CUT_KINDS; i++) count += sink->cuts.of[i] != 0;
    int ok = put_array(out, 0) && put_array(out, count);
    for (size_t i = 0; ok && i < CUT_KINDS; i++) {
        const uint8_t *word = (const uint8_t *)WORDS[i];
        if (sink->cuts.of[i]) ok = put_string(out, (slice_t){word, word + strlen(WORDS[i])});
    }
    return ok;
}

enum { IN_NOTHING, IN_SPAN, IN_RESOURCE, IN_SCOPE, IN_EVENT, IN_LINK, IN_PAIR, IN_VALUE, IN_LIST, IN_MAP,
       IN_ENTITY, IN_KEY, KINDS };

/* What the reference has to make of a message of a kind: about as many Python objects. */
static size_t weight_of(slice_t in, int kind, int depth) {
    static const uint8_t PARTS[KINDS][17] = {
        [IN_SPAN] = {[9] = IN_PAIR, [11] = IN_EVENT, [13] = IN_LINK},
        [IN_RESOURCE] = {[1] = IN_PAIR, [3] = IN_ENTITY}, [IN_ENTITY] = {[3] = IN_KEY, [4] = IN_KEY},
        [IN_SCOPE] = {[3] = IN_PAIR}, [IN_EVENT] = {[3] = IN_PAIR}, [IN_LINK] = {[4] = IN_PAIR}, [IN_PAIR] = {[2] = IN_VALUE},
        [IN_VALUE] = {[5] = IN_LIST, [6] = IN_MAP}, [IN_LIST] = {[1] = IN_VALUE},
        [IN_MAP] = {[1] = IN_PAIR}};
    size_t weight = 1;
    field_t field;
    while (in.at < in.end && depth < MAX_NESTED && read_field(&in, &field))
        if (field.type == BYTES && field.number <= 16 && PARTS[kind][field.number])
            weight += weight_of(field.bytes, PARTS[kind][field.number], depth + 1);
    return weight;
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

/* Scratch space of one request. */
typedef struct {
    message_t span, part, status;
    pairs_t pairs;
} scratch_t;

static void free_scratch(scratch_t *scratch) {
    free_message(&scratch->span);
    free_message(&scratch->part);
    free_message(&scratch->status);
    free(scratch->pairs.at);
    free(scratch);
}

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
    sink->cuts = (cuts_t){0};
    if (!take_apart(sink, in, SPAN_TYPES, 9, 11, 13, span) || !is_valid(span)) return 0;
    if (!take_apart(sink, span->bytes[15], STATUS_TYPES, 0, 0, 0, status)) return 0;
    if (is_zero(span->bytes[4])) span->bytes[4] = (slice_t){0}; /* zeros say "no parent" */
    *start_ns = span->value[7];
    *end_ns = span->value[8];
    int ok = put_array(out, 20) && put_string(out, TAG) && put_binary(out, span->bytes[1]) &&
             put_binary(out, span->bytes[2]) && put_binary(out, span->bytes[4]) &&
             emit_string(sink, span->bytes[3], 0) && put_uint(out, span->value[16]) &&
             emit_string(sink, span->bytes[5], 1) && put_int(out, (int32_t)span->value[6]) &&
             put_uint(out, span->value[7]) && put_uint(out, span->value[8]) &&
             emit_attributes(sink, span, 1, span->value[10]) &&
             emit_events(sink, span, &scratch->part) && emit_links(sink, span, &scratch->part);
    /* The status message is the exception's, most of the time. */
    slice_t said = status->bytes[2];
    return ok && put_int(out, (int32_t)status->value[3]) &&
           emit_string(sink, said, length(said) && !is_in_text(sink, text, said)) &&
           emit_cuts(sink) &&
           (!sink->secret || put(&sink->text, "secret=key", 11));
}

static const uint8_t RESOURCE_TYPES[17] = {0, 1 + BYTES, 1 + VARINT, 1 + BYTES};
static const uint8_t SCOPE_TYPES[17] = {0, 1 + BYTES, 1 + BYTES, 1 + BYTES, 1 + VARINT};

/* All strings that are field `number` of an EntityRef, as an array; or only the last one. */
static int emit_strings(sink_t *sink, slice_t in, uint32_t number, int is_array) {
    slice_t scan = in, last = {0};
    size_t count = 0;
    field_t field;
    while (scan.at < scan.end) {
        if (!read_field(&scan, &field)) return 0;
        if (field.number != number || field.type != BYTES) continue;
        if (!is_utf8(last = field.bytes)) return 0;
        count++;
    }
    if (!is_array) return put_string(&sink->rows, last);
    if (!put_array(&sink->rows, count)) return 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number == number && field.type == BYTES && !put_string(&sink->rows, field.bytes))
            return 0;
    }
    return 1;
}

static int emit_entities(sink_t *sink, const list_t *entities) {
    int ok = put_array(&sink->rows, entities->count);
    for (size_t i = 0; ok && i < entities->count; i++) {
        slice_t in = entities->at[i];
        ok = put_array(&sink->rows, 4) && emit_strings(sink, in, 1, 0) &&
             emit_strings(sink, in, 2, 0) && emit_strings(sink, in, 3, 1) &&
             emit_strings(sink, in, 4, 1);
    }
    return ok;
}

/* How `schema.Context` begins: a Resource. */
static int emit_resource(sink_t *sink, slice_t resource, slice_t schema, message_t *part) {
    return take_apart(sink, resource, RESOURCE_TYPES, 1, 3, 0, part) &&
           put_array(&sink->rows, 11) && emit_attributes(sink, part, 0, part->value[2]) &&
           emit_entities(sink, &part->events) && emit_string(sink, schema, 0);
}

/* How it goes on: an InstrumentationScope. */
static int emit_scope(sink_t *sink, slice_t scope, slice_t schema, message_t *part) {
    return take_apart(sink, scope, SCOPE_TYPES, 3, 0, 0, part) &&
           emit_string(sink, part->bytes[1], 0) && emit_string(sink, part->bytes[2], 0) &&
           emit_attributes(sink, part, 0, part->value[4]) && emit_string(sink, schema, 0) &&
           emit_cuts(sink);
}

#endif
