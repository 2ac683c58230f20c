/* `events.log._table`: looking up and adding many ids in one table of the duplicate index.
 *
 *     find(keys, segments, wanted, found) -> None
 *     insert(keys, segments, added, ordinals, present) -> int
 *
 * The same as `Table.find` and `Table.insert` of table.py in Python, which tell what the arrays
 * hold. Each id is a cache line of a large array: here the lines of the next ids are fetched
 * while one is looked at, and NumPy waits for each.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdint.h>

/* AHEAD: ids whose lines are under way. MANY: from here on the interpreter's lock is let go. */
enum { WIDTH = 8, AHEAD = 16, MANY = 8192 };

typedef struct {
    uint64_t *keys; /* 0: an empty slot */
    uint32_t *segments;
    size_t buckets; /* a power of two */
    int shift;
} table_t;

static int table_of(const Py_buffer *keys, const Py_buffer *segments, table_t *table) {
    size_t slots = (size_t)keys->len / sizeof(uint64_t);
    size_t buckets = slots / WIDTH;
    if (buckets < 2 || buckets & (buckets - 1) || (size_t)keys->len != slots * sizeof(uint64_t) ||
        slots != buckets * WIDTH || (size_t)segments->len != slots * sizeof(uint32_t)) {
        PyErr_SetString(PyExc_ValueError, "these arrays are not a table");
        return 0;
    }
    *table = (table_t){keys->buf, segments->buf, buckets, 64};
    while (buckets >>= 1) table->shift--;
    return 1;
}

static size_t home(const table_t *table, uint64_t key) { return (size_t)(key >> table->shift); }

/* The slot that holds `key`, or else the first empty one on its way; SIZE_MAX in a full table. */
static size_t slot_of(const table_t *table, uint64_t key) {
    size_t bucket = home(table, key);
    for (size_t seen = 0; seen < table->buckets; seen++) {
        size_t first = bucket * WIDTH;
        for (size_t slot = first; slot < first + WIDTH; slot++)
            if (table->keys[slot] == key || !table->keys[slot]) return slot;
        bucket = (bucket + 1) & (table->buckets - 1);
    }
    return SIZE_MAX;
}

static void fetch(const table_t *table, const uint64_t *keys, size_t at, size_t count) {
    if (at + AHEAD < count)
        __builtin_prefetch(&table->keys[home(table, keys[at + AHEAD]) * WIDTH]);
}

static void find_all(const table_t *table, const uint64_t *wanted, int64_t *found, size_t count) {
    for (size_t i = 0; i < count; i++) {
        fetch(table, wanted, i, count);
        if (found[i] >= 0) continue;
        size_t slot = slot_of(table, wanted[i]);
        if (slot != SIZE_MAX && table->keys[slot]) found[i] = table->segments[slot];
    }
}

static size_t insert_all(const table_t *table, const uint64_t *added, const int64_t *ordinals,
                         uint8_t *present, size_t count) {
    size_t inserted = 0;
    for (size_t i = 0; i < count; i++) {
        fetch(table, added, i, count);
        size_t slot = slot_of(table, added[i]);
        present[i] = slot == SIZE_MAX || table->keys[slot];
        if (present[i]) continue;
        table->keys[slot] = added[i];
        table->segments[slot] = (uint32_t)ordinals[i];
        inserted++;
    }
    return inserted;
}

static PyObject *find(PyObject *module, PyObject *arguments) {
    Py_buffer keys, segments, wanted, found;
    table_t table;
    PyObject *done = NULL;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "y*y*y*w*", &keys, &segments, &wanted, &found)) return NULL;
    size_t count = (size_t)wanted.len / sizeof(uint64_t);
    if (!table_of(&keys, &segments, &table)) goto release;
    if ((size_t)found.len != count * sizeof(int64_t)) {
        PyErr_SetString(PyExc_ValueError, "one place in `found` for each id");
        goto release;
    }
    PyThreadState *state = count < MANY ? NULL : PyEval_SaveThread();
    find_all(&table, wanted.buf, found.buf, count);
    if (state) PyEval_RestoreThread(state);
    done = Py_NewRef(Py_None);
release:
    PyBuffer_Release(&keys);
    PyBuffer_Release(&segments);
    PyBuffer_Release(&wanted);
    PyBuffer_Release(&found);
    return done;
}

static PyObject *insert(PyObject *module, PyObject *arguments) {
    Py_buffer keys, segments, added, ordinals, present;
    table_t table;
    PyObject *done = NULL;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "w*w*y*y*w*", &keys, &segments, &added, &ordinals, &present))
        return NULL;
    size_t count = (size_t)added.len / sizeof(uint64_t), inserted;
    if (!table_of(&keys, &segments, &table)) goto release;
    if ((size_t)ordinals.len != count * sizeof(int64_t) || (size_t)present.len != count) {
        PyErr_SetString(PyExc_ValueError, "one ordinal and one place in `present` for each id");
        goto release;
    }
    PyThreadState *state = count < MANY ? NULL : PyEval_SaveThread();
    inserted = insert_all(&table, added.buf, ordinals.buf, present.buf, count);
    if (state) PyEval_RestoreThread(state);
    done = PyLong_FromSize_t(inserted);
release:
    PyBuffer_Release(&keys);
    PyBuffer_Release(&segments);
    PyBuffer_Release(&added);
    PyBuffer_Release(&ordinals);
    PyBuffer_Release(&present);
    return done;
}

static PyMethodDef METHODS[] = {
    {"find", find, METH_VARARGS, "find(keys, segments, wanted, found) -> None"},
    {"insert", insert, METH_VARARGS, "insert(keys, segments, added, ordinals, present) -> int"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_table", "Look-ups in the duplicate index.", 0, METHODS,
    NULL, NULL, NULL, NULL,
};

#ifndef SOURCES
#define SOURCES "" /* the digest of what this was built from, see events/native.py */
#endif

PyMODINIT_FUNC PyInit__table(void) {
    PyObject *module = PyModule_Create(&MODULE);
    if (module && PyModule_AddStringConstant(module, "SOURCES", SOURCES) < 0) Py_CLEAR(module);
    return module;
}
