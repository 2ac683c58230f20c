/* A whole export request: resources, scopes, and the spans under them.
 *
 * What a request costs is bounded by its bytes: spans that only need a reason are counted after
 * the first ones, and there may not be more scopes, nor more bytes of resources repeated for each
 * scope, than requests of its size have.
 */
#ifndef SPANLEDGER_REQUEST_H
#define SPANLEDGER_REQUEST_H

#include "span.h"

/* MAX_SPANS is `MAX_EVENTS` of weight.py. */
enum { MAX_SPANS = 200000, NAMED_SPANS = 64, FEW_SCOPES = 100, SCOPE_BYTES = 100 };
enum { FEW_CONTEXT_BYTES = 1 << 20, SCOPES = 2, OLD_SCOPES = 1000 };

/* A span for the reference: `place` rows are before it, and it weighs so much (`weight_of`). */
typedef struct {
    size_t place;
    slice_t span;
    size_t weight;
    int is_odd;
} left_t;

typedef struct {
    slice_t message, schema;
    buffer_t merged;
    sink_t sink; /* the beginning of the context, in `rows` */
    int is_good;
    int is_needed; /* some group has no context yet */
} resource_t;

typedef struct {
    sink_t sink;
    buffer_t context, merged, left;
    buffer_t ends; /* pairs of size_t: end of each row in sink.rows and in sink.text */
    size_t count, unnamed, resource;
    uint64_t time_min_ns, time_max_ns;
    cuts_t cuts; /* of its context and rows */
    slice_t scope, scope_schema;
    int has_context;
} group_t;

typedef struct {
    group_t *groups;
    resource_t *resources;
    size_t count, room, resource_count, resource_room;
    size_t size, spans, named, context_bytes, unread_bytes;
    const char *too_many;
    limits_t limits;
    scratch_t *scratch;
} request_t;

/* Room for one more of `size` bytes at the end of `items`, zeroed; NULL when memory is short. */
static void *grow(void **items, size_t *count, size_t *room, size_t size) {
    if (*count == *room) {
        size_t more = *room ? 2 * *room : 8;
        void *grown = realloc(*items, more * size);
        if (!grown) return NULL;
        *items = grown;
        *room = more;
    }
    return memset((char *)*items + (*count)++ * size, 0, size);
}

/* Fields 1 (message) and 3 (schema URL) of ResourceSpans and ScopeSpans. A message that comes
 * again is merged with the one before, which is to read both as one. */
static int read_header(slice_t in, slice_t *message, slice_t *schema, buffer_t *merged) {
    field_t field;
    int seen = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.type != BYTES) continue;
        if (field.number == 3) {
            if (!is_utf8(*schema)) return 0;
            *schema = field.bytes;
        } else if (field.number == 1) {
            if (seen++ && ((seen == 2 && !put(merged, message->at, length(*message))) ||
                           !put(merged, field.bytes.at, length(field.bytes))))
                return 0;
            if (seen < 2) *message = field.bytes;
        }
    }
    if (seen > 1) *message = (slice_t){merged->data, merged->data + merged->size};
    return 1;
}

static void add_cuts(cuts_t *sum, const cuts_t *more) {
    for (size_t i = 0; i < CUT_KINDS; i++) sum->of[i] += more->of[i];
}

static int add_context(request_t *request, group_t *group) {
    resource_t *resource = &request->resources[group->resource];
    sink_t *sink = &group->sink;
    sink->cuts = resource->sink.cuts;
    group->has_context =
        resource->is_good && put(&sink->rows, resource->sink.rows.data, resource->sink.rows.size) &&
        emit_scope(sink, group->scope, group->scope_schema, &request->scratch->part);
    if (sink->rows.short_of_memory) return 0;
    resource->is_needed |= !group->has_context;
    if (group->has_context) group->cuts = sink->cuts;
    group->context = sink->rows;
    sink->rows = (buffer_t){0};
    sink->odd = 0;
    request->context_bytes += group->context.size;
    if (request->context_bytes > FEW_CONTEXT_BYTES + 2 * request->size)
        return request->too_many = "scopes under large resources", 0;
    return 1;
}

static group_t *new_group(request_t *request, slice_t in) {
    if (request->count == FEW_SCOPES + request->size / SCOPE_BYTES)
        return request->too_many = "resources and scopes with few spans each", NULL;
    group_t *group =
        grow((void **)&request->groups, &request->count, &request->room, sizeof *group);
    if (!group) return NULL;
    group->sink.limits = &request->limits;
    group->sink.pairs = &request->scratch->pairs;
    group->time_min_ns = UINT64_MAX;
    group->resource = request->resource_count - 1;
    if (!read_header(in, &group->scope, &group->scope_schema, &group->merged)) return NULL;
    return add_context(request, group) ? group : NULL;
}

/* Leave a span that could not be written to the reference, or only count it. */
static int leave_span(request_t *request, group_t *group, slice_t in) {
    sink_t *sink = &group->sink;
    if (sink->rows.short_of_memory || sink->text.short_of_memory) return 0;
    if (!sink->odd && request->named == NAMED_SPANS) return group->unnamed++, 1;
    request->named += !sink->odd;
    left_t left = {group->count, in, weight_of(in, IN_SPAN, 0), sink->odd};
    return put(&group->left, &left, sizeof left);
}

static int add_span(request_t *request, group_t *group, slice_t in) {
    sink_t *sink = &group->sink;
    uint64_t start_ns, end_ns;
    size_t rows = sink->rows.size, text = sink->text.size;
    if (request->spans++ == MAX_SPANS) return request->too_many = "spans", 0;
    if (!emit_span(sink, in, request->scratch, &start_ns, &end_ns)) {
        sink->rows.size = rows;
        sink->text.size = text;
        return leave_span(request, group, in);
    }
    size_t ends[2] = {sink->rows.size, sink->text.size};
    if (!put(&group->ends, ends, sizeof ends)) return 0;
    group->count++;
    add_cuts(&group->cuts, &sink->cuts);
    uint64_t last = end_ns > start_ns ? end_ns : start_ns;
    if (start_ns < group->time_min_ns) group->time_min_ns = start_ns;
    if (last > group->time_max_ns) group->time_max_ns = last;
    return 1;
}

static int read_scope(request_t *request, slice_t in) {
    slice_t whole = in;
    field_t field;
    group_t *group = NULL; /* a scope without spans leaves nothing */
    while (in.at < in.end) {
        const uint8_t *start = in.at;
        if (!read_field(&in, &field)) return 0;
        if (field.type != BYTES || field.number > 3) {
            request->unread_bytes += (size_t)(in.at - start);
        } else if (field.number == 2) {
            if (!group && !(group = new_group(request, whole))) return 0;
            if (!add_span(request, group, field.bytes)) return 0;
        }
    }
    return 1;
}

static int new_resource(request_t *request, slice_t in) {
    resource_t *one = grow((void **)&request->resources, &request->resource_count,
                           &request->resource_room, sizeof *one);
    if (!one || !read_header(in, &one->message, &one->schema, &one->merged)) return 0;
    one->sink.limits = &request->limits;
    one->sink.pairs = &request->scratch->pairs;
    one->is_good = emit_resource(&one->sink, one->message, one->schema, &request->scratch->part);
    return !one->sink.rows.short_of_memory;
}

static int read_resource(request_t *request, slice_t in) {
    static const uint32_t NUMBERS[] = {SCOPES, OLD_SCOPES}; /* those of before OTLP 0.15 last */
    int is_new = 1;
    for (int old = 0; old < 2; old++) {
        slice_t rest = in;
        field_t field;
        while (rest.at < rest.end) {
            const uint8_t *start = rest.at;
            if (!read_field(&rest, &field)) return 0;
            int is_known = field.type == BYTES && (field.number <= 3 || field.number == OLD_SCOPES);
            if (!is_known && !old) request->unread_bytes += (size_t)(rest.at - start);
            if (!is_known || field.number != NUMBERS[old] || !length(field.bytes)) continue;
            if (is_new && !new_resource(request, in)) return 0;
            is_new = 0;
            if (!read_scope(request, field.bytes)) return 0;
        }
    }
    return 1;
}

static int read_request(request_t *request, slice_t in) {
    field_t field;
    while (in.at < in.end) {
        const uint8_t *start = in.at;
        if (!read_field(&in, &field)) return 0;
        if (field.number != 1 || field.type != BYTES)
            request->unread_bytes += (size_t)(in.at - start);
        else if (!read_resource(request, field.bytes))
            return 0;
    }
    return 1;
}

static void free_sink(sink_t *sink) {
    free(sink->rows.data);
    free(sink->text.data);
}

static void free_request(request_t *request) {
    for (size_t i = 0; i < request->count; i++) {
        group_t *group = &request->groups[i];
        free_sink(&group->sink);
        free(group->context.data);
        free(group->merged.data);
        free(group->left.data);
        free(group->ends.data);
    }
    for (size_t i = 0; i < request->resource_count; i++) {
        free_sink(&request->resources[i].sink);
        free(request->resources[i].merged.data);
    }
    free_scratch(request->scratch);
    free(request->groups);
    free(request->resources);
    free(request);
}

#endif
