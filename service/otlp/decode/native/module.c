/* `service.otlp.decode._native`: the fast paths of decoding and of scrubbing.
 *
 *     decode_traces(body, string_bytes, attributes, events, links) -> list | None
 *
 * Gives the fields of a `Group` for each scope of a request, or None if anything in it is not
 * ordinary: the reference decoder takes it then. The work is done without the interpreter lock;
 * Python objects are made at the end.
 *
 *     replace_strings(row, changes, exempt) -> (head, used) | None
 *
 * Replaces in a span's row what `changes`, a list of `Change`, says; not under a key of the
 * set `exempt`. Gives the row up to its field `scrubbed` and bit n set for each change n that took
 * place; None if the row is not ordinary.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>

#include "otlp.h"
#include "rewrite.h"

/* More than this is declined: the reference decoder weighs it first. MAX_SPANS is `MAX_EVENTS`
 * of weight.py; a scope takes some buffers even if it is empty. */
enum { MAX_SCOPES = 20000, MAX_SPANS = 200000 };

typedef struct {
    sink_t sink;
    buffer_t context;
    buffer_t ends; /* pairs of size_t: end of each row in sink.rows and in sink.text */
    size_t count;
    uint64_t time_min_ns, time_max_ns;
} group_t;

typedef struct {
    group_t *groups;
    size_t count, room;
    size_t spans;
    limits_t limits;
    scratch_t scratch;
} request_t;

static group_t *new_group(request_t *request) {
    if (request->count == MAX_SCOPES) return NULL;
    if (request->count == request->room) {
        size_t room = request->room ? 2 * request->room : 8;
        group_t *groups = realloc(request->groups, room * sizeof *groups);
        if (!groups) return NULL;
        request->groups = groups;
        request->room = room;
    }
    group_t *group = &request->groups[request->count++];
    memset(group, 0, sizeof *group);
    group->sink.limits = &request->limits;
    group->time_min_ns = UINT64_MAX;
    return group;
}

static int add_span(group_t *group, slice_t in, scratch_t *scratch) {
    uint64_t start_ns, end_ns;
    if (!emit_span(&group->sink, in, scratch, &start_ns, &end_ns)) return 0;
    size_t ends[2] = {group->sink.rows.size, group->sink.text.size};
    if (!put(&group->ends, ends, sizeof ends)) return 0;
    group->count++;
    uint64_t last = end_ns > start_ns ? end_ns : start_ns;
    if (start_ns < group->time_min_ns) group->time_min_ns = start_ns;
    if (last > group->time_max_ns) group->time_max_ns = last;
    return 1;
}

/* Fields 1 (message) and 3 (schema URL) of ResourceSpans and ScopeSpans, each once at most. */
static int read_header(slice_t in, slice_t *message, slice_t *schema) {
    field_t field;
    uint32_t seen = 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field) || field.type != BYTES || field.number > 3) return 0;
        if (field.number == 2) continue;
        if (seen & 1u << field.number) return 0;
        seen |= 1u << field.number;
        *(field.number == 1 ? message : schema) = field.bytes;
    }
    return 1;
}

static int read_scope(request_t *request, slice_t resource, slice_t resource_schema, slice_t in) {
    slice_t scope = {0}, scope_schema = {0};
    field_t field;
    if (!read_header(in, &scope, &scope_schema)) return 0;
    group_t *group = new_group(request);
    if (!group) return 0;
    if (!emit_context(&group->sink, resource, resource_schema, scope, scope_schema,
                      &request->scratch))
        return 0;
    group->context = group->sink.rows;
    group->sink.rows = (buffer_t){0};
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number != 2) continue;
        if (request->spans++ == MAX_SPANS) return 0;
        if (!add_span(group, field.bytes, &request->scratch)) return 0;
    }
    return 1;
}

static int read_resource(request_t *request, slice_t in) {
    slice_t resource = {0}, schema = {0};
    field_t field;
    if (!read_header(in, &resource, &schema)) return 0;
    while (in.at < in.end) {
        if (!read_field(&in, &field)) return 0;
        if (field.number == 2 && !read_scope(request, resource, schema, field.bytes)) return 0;
    }
    return 1;
}

static int read_request(request_t *request, slice_t in) {
    field_t field;
    while (in.at < in.end) {
        if (!read_field(&in, &field) || field.number != 1 || field.type != BYTES) return 0;
        if (!read_resource(request, field.bytes)) return 0;
    }
    return 1;
}

static void free_request(request_t *request) {
    for (size_t i = 0; i < request->count; i++) {
        group_t *group = &request->groups[i];
        free(group->sink.rows.data);
        free(group->sink.text.data);
        free(group->context.data);
        free(group->ends.data);
    }
    free(request->groups);
    free(request);
}

static PyObject *bytes_of(const buffer_t *buffer, size_t from, size_t to) {
    const char *data = buffer->data ? (const char *)buffer->data + from : "";
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)(to - from));
}

/* The group as Python objects; NULL with an exception set when memory is short. */
static PyObject *group_object(const group_t *group) {
    PyObject *rows = PyList_New((Py_ssize_t)group->count);
    PyObject *text_ends = PyList_New((Py_ssize_t)group->count);
    size_t from = 0;
    for (size_t i = 0; rows && text_ends && i < group->count; i++) {
        size_t ends[2];
        memcpy(ends, group->ends.data + i * sizeof ends, sizeof ends);
        PyObject *row = bytes_of(&group->sink.rows, from, ends[0]);
        PyObject *end = PyLong_FromSize_t(ends[1]);
        if (!row || !end) {
            Py_XDECREF(row);
            Py_XDECREF(end);
            Py_CLEAR(rows);
            break;
        }
        PyList_SetItem(rows, (Py_ssize_t)i, row);
        PyList_SetItem(text_ends, (Py_ssize_t)i, end);
        from = ends[0];
    }
    PyObject *context = bytes_of(&group->context, 0, group->context.size);
    PyObject *text = bytes_of(&group->sink.text, 0, group->sink.text.size);
    PyObject *found = NULL;
    if (rows && text_ends && context && text)
        found = Py_BuildValue("(OOOOKKO)", context, rows, text, text_ends,
                              (unsigned long long)group->time_min_ns,
                              (unsigned long long)group->time_max_ns,
                              group->sink.keyed ? Py_True : Py_False);
    Py_XDECREF(rows);
    Py_XDECREF(text_ends);
    Py_XDECREF(context);
    Py_XDECREF(text);
    return found;
}

static PyObject *groups_object(const request_t *request) {
    PyObject *groups = PyList_New(0);
    for (size_t i = 0; groups && i < request->count; i++) {
        if (!request->groups[i].count) continue; /* a scope without spans leaves nothing */
        PyObject *group = group_object(&request->groups[i]);
        if (!group || PyList_Append(groups, group) < 0) Py_CLEAR(groups);
        Py_XDECREF(group);
    }
    return groups;
}

static PyObject *decode_traces(PyObject *module, PyObject *arguments) {
    Py_buffer body;
    Py_ssize_t string_bytes, attributes, events, links;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnnn", &body, &string_bytes, &attributes, &events, &links))
        return NULL;
    PyObject *found = NULL;
    request_t *request = calloc(1, sizeof *request);
    if (!request) {
        PyErr_NoMemory();
        goto done;
    }
    request->limits = (limits_t){(size_t)string_bytes, (size_t)attributes, (size_t)events,
                                 (size_t)links};
    slice_t in = {body.buf, (const uint8_t *)body.buf + body.len};
    int ordinary;
    Py_BEGIN_ALLOW_THREADS
    ordinary = read_request(request, in);
    Py_END_ALLOW_THREADS
    found = ordinary ? groups_object(request) : Py_NewRef(Py_None);
    free_request(request);
done:
    PyBuffer_Release(&body);
    return found;
}

/* Whether `key` is in the Python set `exempt`; yes if that can't be said, as the caller asks for
 * exceptions at the end. */
static int is_exempt(slice_t key, void *exempt) {
    PyObject *text = PyUnicode_FromStringAndSize((const char *)key.at, (Py_ssize_t)length(key));
    int found = text ? PySet_Contains(exempt, text) : -1;
    Py_XDECREF(text);
    return found != 0;
}

/* Borrows from `list`, whose items are (bytes, bytes, object); 0 with an exception set if they are not. */
static int read_changes(PyObject *list, change_t *changes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *before, *after;
        Py_ssize_t before_size, after_size;
        PyObject *change = PyList_GetItem(list, (Py_ssize_t)i), *kinds;
        if (!change || !PyArg_ParseTuple(change, "y#y#O", &before, &before_size, &after,
                                         &after_size, &kinds))
            return 0;
        changes[i].before = (slice_t){(const uint8_t *)before, (const uint8_t *)before + before_size};
        changes[i].after = (slice_t){(const uint8_t *)after, (const uint8_t *)after + after_size};
    }
    return 1;
}

static PyObject *replace_strings(PyObject *module, PyObject *arguments) {
    const char *data;
    Py_ssize_t size;
    PyObject *list, *exempt;
    change_t changes[MAX_CHANGES];
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y#O!O!", &data, &size, &PyList_Type, &list,
                          &PyFrozenSet_Type, &exempt))
        return NULL;
    size_t count = (size_t)PyList_Size(list);
    if (count > MAX_CHANGES) return Py_NewRef(Py_None);
    if (!read_changes(list, changes, count)) return NULL;
    rewrite_t row = {.in = {(const uint8_t *)data, (const uint8_t *)data + size},
                     .changes = changes, .change_count = count,
                     .is_exempt = is_exempt, .exempt = exempt};
    PyObject *found = NULL;
    int ordinary = rewrite_span(&row);
    if (!PyErr_Occurred())
        found = ordinary ? Py_BuildValue("(y#K)", (const char *)row.out.data,
                                         (Py_ssize_t)row.out.size, (unsigned long long)row.used)
                         : Py_NewRef(Py_None);
    free(row.out.data);
    return found;
}

static PyMethodDef METHODS[] = {
    {"decode_traces", decode_traces, METH_VARARGS,
     "decode_traces(body, string_bytes, attributes, events, links) -> list | None"},
    {"replace_strings", replace_strings, METH_VARARGS,
     "replace_strings(row, changes, exempt) -> (bytes, int) | None"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_native", "Fast paths of OTLP ingest.", 0, METHODS,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModule_Create(&MODULE); }
