/* `projections.views.spans._native`: what the search index keeps of rows of the log.
 *
 *     read(rows, seed, fallback) -> (tokens, counts, starts, ends, names)
 *
 * The same as `read_slowly` of rows.py, which tells what the arrays hold. A row that is no span of
 * the usual kind, or has a value whose text is not simple (a list, a map, bytes, a number with an
 * exponent), is given to `fallback`, which is `span_row` of rows.py.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* FIELDS: of a span, its tag included; those that came later are not needed. */
enum { FIELDS = 18, VALUE_BYTES = 256, DEPTH = 32, NUMBER_BYTES = 32 };
#define LIMIT_NS ((int64_t)((UINT64_C(1) << 62) - 1))
static const char TAG[] = "span.v1";
static uint32_t table[8][256];

typedef struct {
    const uint8_t *at, *end;
    int is_bad; /* set once something is not as expected; what is read then means nothing */
} cursor_t;

typedef struct {
    uint32_t *held;
    size_t count, room;
} tokens_t;

typedef struct {
    int64_t *counts, *starts, *ends, *names;
} columns_t;

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        table[0][i] = c;
    }
    for (int t = 1; t < 8; t++)
        for (int i = 0; i < 256; i++)
            table[t][i] = table[0][table[t - 1][i] & 255] ^ (table[t - 1][i] >> 8);
}

/* As zlib.crc32: goes on from `crc`. Eight bytes at once, each by a table of its own. */
static uint32_t crc32_of(uint32_t crc, const void *data, size_t length) {
    const uint8_t *at = data;
    crc = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                              (uint32_t)at[3] << 24);
        crc = table[7][low & 255] ^ table[6][low >> 8 & 255] ^ table[5][low >> 16 & 255] ^
              table[4][low >> 24] ^ table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^
              table[0][at[7]];
    }
    while (length--) crc = table[0][(crc ^ *at++) & 255] ^ (crc >> 8);
    return ~crc;
}

static uint64_t big(cursor_t *in, int bytes) {
    uint64_t value = 0;
    if (in->end - in->at < bytes) {
        in->is_bad = 1;
        return 0;
    }
    while (bytes--) value = value << 8 | *in->at++;
    return value;
}

static uint8_t head(cursor_t *in) { return (uint8_t)big(in, 1); }

static const uint8_t *take(cursor_t *in, uint64_t length) {
    const uint8_t *found = in->at;
    if (in->is_bad || (uint64_t)(in->end - in->at) < length) {
        in->is_bad = 1;
        return NULL;
    }
    in->at += length;
    return found;
}

/* The length of a string (or, with `bin`, of bytes) whose head is read. */
static uint64_t text_length(cursor_t *in, uint8_t first) {
    if ((first & 0xE0) == 0xA0) return first & 0x1F;
    if (first == 0xD9 || first == 0xC4) return big(in, 1);
    if (first == 0xDA || first == 0xC5) return big(in, 2);
    if (first == 0xDB || first == 0xC6) return big(in, 4);
    in->is_bad = 1;
    return 0;
}

static uint64_t items(cursor_t *in, uint8_t small, uint8_t large) {
    uint8_t first = head(in);
    if ((first & 0xF0) == small) return first & 0x0F;
    if (first == large) return big(in, 2);
    if (first == large + 1) return big(in, 4);
    in->is_bad = 1;
    return 0;
}

static uint64_t array_items(cursor_t *in) { return items(in, 0x90, 0xDC); }
static uint64_t map_items(cursor_t *in) { return items(in, 0x80, 0xDE); }

static int is_text(uint8_t first) { return (first & 0xE0) == 0xA0 || (first >= 0xD9 && first <= 0xDB); }
static int is_bytes(uint8_t first) { return first >= 0xC4 && first <= 0xC6; }

/* Whether a head is that of an integer. Those above the signed range set `is_large`. */
static int read_integer(cursor_t *in, uint8_t first, int64_t *value, int *is_large) {
    *is_large = 0;
    if (first < 0x80 || first >= 0xE0) *value = (int8_t)first;
    else if (first == 0xCC) *value = (int64_t)big(in, 1);
    else if (first == 0xCD) *value = (int64_t)big(in, 2);
    else if (first == 0xCE) *value = (int64_t)big(in, 4);
    else if (first == 0xCF) *is_large = (*value = (int64_t)big(in, 8)) < 0;
    else if (first == 0xD0) *value = (int8_t)big(in, 1);
    else if (first == 0xD1) *value = (int16_t)big(in, 2);
    else if (first == 0xD2) *value = (int32_t)big(in, 4);
    else if (first == 0xD3) *value = (int64_t)big(in, 8);
    else return 0;
    return 1;
}

static int64_t integer(cursor_t *in) {
    int64_t value = 0;
    int is_large;
    if (!read_integer(in, head(in), &value, &is_large) || is_large) in->is_bad = 1;
    return value;
}

static void skip(cursor_t *in, int depth) {
    uint8_t first = head(in);
    int64_t value;
    int is_large;
    uint64_t count = 0;
    if (in->is_bad || first == 0xC0 || first == 0xC2 || first == 0xC3) return;
    if (read_integer(in, first, &value, &is_large)) return;
    if (first == 0xCB || first == 0xCA) take(in, first == 0xCB ? 8 : 4);
    else if (is_text(first) || is_bytes(first)) take(in, text_length(in, first));
    else if ((first & 0xE0) == 0x80 || (first >= 0xDC && first <= 0xDF)) {
        int is_map = (first & 0xF0) == 0x80 || first >= 0xDE;
        in->at--;
        count = is_map ? 2 * map_items(in) : array_items(in);
        if (depth == DEPTH) in->is_bad = 1;
        while (count-- && !in->is_bad) skip(in, depth + 1);
    } else in->is_bad = 1;
}

static int add(tokens_t *tokens, uint32_t token) {
    if (tokens->count == tokens->room) {
        size_t room = tokens->room ? tokens->room * 2 : 4096;
        uint32_t *held = PyMem_Realloc(tokens->held, room * sizeof(uint32_t));
        if (!held) return 0;
        tokens->held = held, tokens->room = room;
    }
    tokens->held[tokens->count++] = token;
    return 1;
}

/* A number with a fraction, as text; the cursor is bad if its text is not simple. */
static size_t fraction(cursor_t *in, char *text) {
    uint64_t bits = big(in, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    if (fabs(value) < 1e15 && floor(value) == value)
        return (size_t)snprintf(text, NUMBER_BYTES, "%.0f", value);
    char *found = PyOS_double_to_string(value, 'r', 0, 0, NULL);
    if (!found || floor(value) == value || strpbrk(found, "en") || strlen(found) >= NUMBER_BYTES) {
        PyErr_Clear();
        in->is_bad = 1;
        *text = 0;
    } else strcpy(text, found);
    PyMem_Free(found);
    return strlen(text);
}

/* Goes on from the digest of a key with the text of the value that follows. */
static uint32_t value_token(cursor_t *in, uint32_t key) {
    char text[NUMBER_BYTES];
    uint8_t first = head(in);
    int64_t value = 0;
    int is_large;
    if (is_text(first)) {
        uint64_t length = text_length(in, first);
        const uint8_t *found = take(in, length);
        return found ? crc32_of(key, found, length < VALUE_BYTES ? length : VALUE_BYTES) : 0;
    }
    if (first == 0xC0) return key;
    if (first == 0xC2) return crc32_of(key, "false", 5);
    if (first == 0xC3) return crc32_of(key, "true", 4);
    if (first == 0xCB) return crc32_of(key, text, fraction(in, text));
    if (read_integer(in, first, &value, &is_large)) {
        int length = snprintf(text, sizeof text, is_large ? "%llu" : "%lld", (long long)value);
        return crc32_of(key, text, (size_t)length);
    }
    in->is_bad = 1;
    return 0;
}

static uint32_t token_of(uint32_t seed, const char *key, const void *text, size_t length) {
    uint32_t crc = crc32_of(seed, key, strlen(key) + 1);
    return crc32_of(crc, text, length < VALUE_BYTES ? length : VALUE_BYTES);
}

static uint32_t number_token(uint32_t seed, const char *key, int64_t number) {
    char text[NUMBER_BYTES];
    int length = snprintf(text, sizeof text, "%lld", (long long)number);
    return token_of(seed, key, text, (size_t)length);
}

static int attributes(cursor_t *in, uint32_t seed, tokens_t *tokens) {
    for (uint64_t left = map_items(in); left && !in->is_bad; left--) {
        uint64_t length = text_length(in, head(in));
        const uint8_t *key = take(in, length);
        if (!key) return 1;
        uint32_t crc = crc32_of(crc32_of(seed, key, length), "", 1);
        if (!add(tokens, value_token(in, crc))) return 0;
    }
    return 1;
}

/* Events or links: arrays with attributes at `place`. */
static int parts(cursor_t *in, uint32_t seed, tokens_t *tokens, uint64_t place) {
    for (uint64_t left = array_items(in); left && !in->is_bad; left--) {
        uint64_t fields = array_items(in);
        if (fields <= place) in->is_bad = 1;
        for (uint64_t n = 0; n < fields && !in->is_bad; n++) {
            if (n != place) skip(in, 0);
            else if (!attributes(in, seed, tokens)) return 0;
        }
    }
    return 1;
}

static int64_t bounded(int64_t time_ns) {
    return time_ns < 0 ? 0 : time_ns > LIMIT_NS ? LIMIT_NS : time_ns;
}

/* One row; 0 if there is no memory. The cursor is bad if the row is not read. */
static int read_span(cursor_t *in, uint32_t seed, tokens_t *tokens, columns_t *out, size_t place) {
    size_t before = tokens->count;
    if (array_items(in) < FIELDS) in->is_bad = 1;
    uint64_t length = text_length(in, head(in));
    const uint8_t *text = take(in, length);
    if (!text || length != strlen(TAG) || memcmp(text, TAG, length)) {
        in->is_bad = 1;
        return 1;
    }
    for (int n = 0; n < 5; n++) skip(in, 0); /* ids, state, flags */
    length = text_length(in, head(in));
    text = take(in, length);
    if (!text) return 1;
    uint32_t name = token_of(seed, "\x01name", text, length);
    int64_t kind = integer(in);
    out->names[place] = (int64_t)name * 256 + (kind < 0 ? 0 : kind > 255 ? 255 : kind);
    out->starts[place] = bounded(integer(in));
    out->ends[place] = bounded(integer(in));
    if (!add(tokens, name) || !add(tokens, number_token(seed, "\x01kind", kind))) return 0;
    if (!attributes(in, seed, tokens)) return 0;
    skip(in, 0);
    if (!parts(in, seed, tokens, 2)) return 0;
    skip(in, 0);
    if (!parts(in, seed, tokens, 3)) return 0;
    skip(in, 0);
    if (!add(tokens, number_token(seed, "\x01status", integer(in)))) return 0;
    out->counts[place] = (int64_t)(tokens->count - before);
    return 1;
}

/* What Python found in a row; 0 with an exception. */
static int read_otherwise(PyObject *row, PyObject *fallback, uint32_t seed, tokens_t *tokens,
                          columns_t *out, size_t place) {
    PyObject *found = PyObject_CallFunction(fallback, "OI", row, seed), *list = NULL;
    int done = 0;
    long long start, end, name;
    if (!found) return 0;
    if (found == Py_None) {
        out->counts[place] = -1;
        out->starts[place] = out->ends[place] = out->names[place] = 0;
        done = 1;
    } else if (PyArg_ParseTuple(found, "OLLL", &list, &start, &end, &name)) {
        Py_ssize_t count = PyList_Size(list);
        done = count >= 0;
        for (Py_ssize_t n = 0; done && n < count; n++) {
            unsigned long token = PyLong_AsUnsignedLong(PyList_GetItem(list, n));
            done = !PyErr_Occurred() && (add(tokens, (uint32_t)token) || (PyErr_NoMemory(), 0));
        }
        out->counts[place] = count;
        out->starts[place] = start, out->ends[place] = end, out->names[place] = name;
    }
    Py_DECREF(found);
    return done;
}

static int read_row(PyObject *row, PyObject *fallback, uint32_t seed, tokens_t *tokens,
                    columns_t *out, size_t place) {
    Py_buffer data;
    size_t before = tokens->count;
    if (!row || PyObject_GetBuffer(row, &data, PyBUF_SIMPLE)) return 0;
    cursor_t in = {data.buf, (const uint8_t *)data.buf + data.len, 0};
    int has_room = read_span(&in, seed, tokens, out, place);
    PyBuffer_Release(&data);
    if (!has_room) return PyErr_NoMemory(), 0;
    if (!in.is_bad) return 1;
    tokens->count = before;
    return read_otherwise(row, fallback, seed, tokens, out, place);
}

static PyObject *packed(const tokens_t *tokens, const columns_t *out, Py_ssize_t count) {
    Py_ssize_t bytes = count * (Py_ssize_t)sizeof(int64_t);
    return Py_BuildValue("y#y#y#y#y#", tokens->held ? (char *)tokens->held : "",
                         (Py_ssize_t)(tokens->count * sizeof(uint32_t)), (char *)out->counts, bytes,
                         (char *)out->starts, bytes, (char *)out->ends, bytes, (char *)out->names,
                         bytes);
}

static PyObject *read_all(PyObject *module, PyObject *arguments) {
    PyObject *rows, *fallback, *done = NULL;
    unsigned int seed;
    tokens_t tokens = {NULL, 0, 0};
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OIO", &rows, &seed, &fallback)) return NULL;
    Py_ssize_t count = PyList_Size(rows), place = 0;
    if (count < 0) return NULL;
    int64_t *held = PyMem_Calloc((size_t)count * 4 + 1, sizeof(int64_t));
    if (!held) return PyErr_NoMemory();
    columns_t out = {held, held + count, held + 2 * count, held + 3 * count};
    while (place < count &&
           read_row(PyList_GetItem(rows, place), fallback, seed, &tokens, &out, (size_t)place))
        place++;
    if (place == count) done = packed(&tokens, &out, count);
    PyMem_Free(held);
    PyMem_Free(tokens.held);
    return done;
}

static PyMethodDef methods[] = {{"read", read_all, METH_VARARGS, NULL}, {NULL, NULL, 0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "_native", NULL, -1, methods,
                                        NULL,                  NULL,      NULL, NULL};

#ifndef SOURCES
#define SOURCES "" /* the digest of what this was built from, see events/native.py */
#endif

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *module = PyModule_Create(&definition);
    make_table();
    if (module && PyModule_AddStringConstant(module, "SOURCES", SOURCES) < 0) Py_CLEAR(module);
    return module;
}
