/* `service.otlp.decode._native`: the fast paths of decoding and of scrubbing.
 *
 *     decode_traces(body, string_bytes, attributes, events, links, keys, prefixes, event_names, seed)
 *         -> (groups, resources, unread_bytes) | str | None
 *
 * A group is what `native_groups.Raw` says: the fields of a `Group` for each scope of a request,
 * and the spans that the reference decoder must take. A str says of what there is too much; None:
 * its outer messages don't parse, and the reference says so. The work is done without the
 * interpreter lock; Python objects are made at the end. `keys`, `prefixes` and `event_names` are
 * the words of `Kept`, `seed` 16 secret bytes.
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

#include "request.h"
#include "rewrite.h"

static PyObject *bytes_of(const buffer_t *buffer, size_t from, size_t to) {
    const char *data = buffer->data ? (const char *)buffer->data + from : "";
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)(to - from));
}

static PyObject *bytes_in(slice_t s) {
    return PyBytes_FromStringAndSize(length(s) ? (const char *)s.at : "", (Py_ssize_t)length(s));
}

/* The rows of a group and where their texts end; 0 with an exception set when memory is short. */
static int fill_rows(const group_t *group, PyObject *rows, PyObject *text_ends) {
    size_t from = 0;
    for (size_t i = 0; i < group->count; i++) {
        size_t ends[2];
        memcpy(ends, group->ends.data + i * sizeof ends, sizeof ends);
        PyObject *row = bytes_of(&group->sink.rows, from, ends[0]);
        PyObject *end = PyLong_FromSize_t(ends[1]);
        if (!row || !end) {
            Py_XDECREF(row);
            Py_XDECREF(end);
            return 0;
        }
        PyList_SetItem(rows, (Py_ssize_t)i, row);
        PyList_SetItem(text_ends, (Py_ssize_t)i, end);
        from = ends[0];
    }
    return 1;
}

/* The spans of a group that the reference takes, as `native_groups.Left` says. */
static PyObject *left_object(const group_t *group) {
    PyObject *left = PyList_New(0);
    for (size_t i = 0; left && i < group->left.size / sizeof(left_t); i++) {
        left_t one;
        memcpy(&one, group->left.data + i * sizeof one, sizeof one);
        PyObject *span = Py_BuildValue("(nOny#)", (Py_ssize_t)one.place,
                                       one.is_odd ? Py_True : Py_False, (Py_ssize_t)one.weight,
                                       length(one.span) ? (const char *)one.span.at : "",
                                       (Py_ssize_t)length(one.span));
        if (!span || PyList_Append(left, span) < 0) Py_CLEAR(left);
        Py_XDECREF(span);
    }
    return left;
}

/* The group as Python objects; NULL with an exception set when memory is short. */
static PyObject *group_object(const group_t *group) {
    PyObject *rows = PyList_New((Py_ssize_t)group->count);
    PyObject *text_ends = PyList_New((Py_ssize_t)group->count);
    PyObject *context = group->has_context ? bytes_of(&group->context, 0, group->context.size)
                                           : Py_NewRef(Py_None);
    PyObject *text = bytes_of(&group->sink.text, 0, group->sink.text.size);
    PyObject *left = left_object(group);
    PyObject *scope = bytes_in(group->scope), *schema = bytes_in(group->scope_schema);
    size_t weight = group->has_context ? 0 : weight_of(group->scope, IN_SCOPE, 0);
    const size_t *cut = group->cuts.of;
    PyObject *cuts = Py_BuildValue("(nnnnn)", (Py_ssize_t)cut[0], (Py_ssize_t)cut[1],
                                   (Py_ssize_t)cut[2], (Py_ssize_t)cut[3], (Py_ssize_t)cut[4]);
    PyObject *found = NULL;
    if (rows && text_ends && context && text && left && scope && schema && cuts &&
        fill_rows(group, rows, text_ends))
        found = Py_BuildValue("(OOOOKKOOnnOOnO)", context, rows, text, text_ends,
                              (unsigned long long)group->time_min_ns,
                              (unsigned long long)group->time_max_ns,
                              group->sink.keyed ? Py_True : Py_False, left,
                              (Py_ssize_t)group->unnamed, (Py_ssize_t)group->resource, scope,
                              schema, (Py_ssize_t)weight, cuts);
    Py_XDECREF(cuts);
    Py_XDECREF(rows);
    Py_XDECREF(text_ends);
    Py_XDECREF(context);
    Py_XDECREF(text);
    Py_XDECREF(left);
    Py_XDECREF(scope);
    Py_XDECREF(schema);
    return found;
}

static PyObject *groups_object(const request_t *request) {
    PyObject *groups = PyList_New(0);
    for (size_t i = 0; groups && i < request->count; i++) {
        PyObject *group = group_object(&request->groups[i]);
        if (!group || PyList_Append(groups, group) < 0) Py_CLEAR(groups);
        Py_XDECREF(group);
    }
    return groups;
}

/* The resources with their schemas and weights; None in place of those that are not needed any more. */
static PyObject *resources_object(const request_t *request) {
    PyObject *resources = PyList_New(0);
    for (size_t i = 0; resources && i < request->resource_count; i++) {
        const resource_t *one = &request->resources[i];
        PyObject *resource = one->is_needed
            ? Py_BuildValue("(NNn)", bytes_in(one->message), bytes_in(one->schema),
                            (Py_ssize_t)weight_of(one->message, IN_RESOURCE, 0))
            : Py_NewRef(Py_None);
        if (!resource || PyList_Append(resources, resource) < 0) Py_CLEAR(resources);
        Py_XDECREF(resource);
    }
    return resources;
}

static PyObject *request_object(const request_t *request) {
    PyObject *groups = groups_object(request), *resources = resources_object(request);
    PyObject *found = NULL;
    if (groups && resources)
        found = Py_BuildValue("(OOn)", groups, resources, (Py_ssize_t)request->unread_bytes);
    Py_XDECREF(groups);
    Py_XDECREF(resources);
    return found;
}

static PyObject *decode_traces(PyObject *module, PyObject *arguments) {
    Py_buffer body;
    limits_t limits;
    const char *seed;
    Py_ssize_t seed_size;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*nnnnyyyy#", &body, &limits.string_bytes, &limits.attributes,
                          &limits.events, &limits.links, &limits.kept_keys, &limits.kept_prefixes,
                          &limits.kept_events, &seed, &seed_size))
        return NULL;
    PyObject *found = NULL;
    request_t *request = calloc(1, sizeof *request);
    if (seed_size != sizeof limits.seed) {
        PyErr_SetString(PyExc_ValueError, "a seed has 16 bytes");
        free(request);
        goto done;
    }
    memcpy(limits.seed, seed, sizeof limits.seed);
    if (!request || !(request->scratch = calloc(1, sizeof *request->scratch))) {
        free(request);
        PyErr_NoMemory();
        goto done;
    }
    request->limits = limits;
    request->size = (size_t)body.len;
    slice_t in = {body.buf, (const uint8_t *)body.buf + body.len};
    int read;
    Py_BEGIN_ALLOW_THREADS
    read = read_request(request, in);
    Py_END_ALLOW_THREADS
    if (request->too_many)
        found = PyUnicode_FromString(request->too_many);
    else
        found = read ? request_object(request) : Py_NewRef(Py_None);
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
     "decode_traces(body, limits and words of Kept) -> tuple | str | None"},
    {"replace_strings", replace_strings, METH_VARARGS,
     "replace_strings(row, changes, exempt) -> (bytes, int) | None"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_native", "Fast paths of OTLP ingest.", 0, METHODS,
    NULL, NULL, NULL, NULL,
};

#ifndef SOURCES
#define SOURCES "" /* the digest of what this was built from, see events/native.py */
#endif

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *module = PyModule_Create(&MODULE);
    if (module && PyModule_AddStringConstant(module, "SOURCES", SOURCES) < 0) Py_CLEAR(module);
    return module;
}
