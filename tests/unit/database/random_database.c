/* SPDX-License-Identifier: Apache-2.0 */
/* Random databases for the tests of history, differences, checks and exports. */
#include "random_database.h"

#include <stdio.h>
#include <stdlib.h>

th_shape rd_wild(tu_random *random)
{
    th_shape shape = th_wild(random);
    shape.stores = shape.stores > 3 ? 3 : shape.stores;
    return shape;
}

static void shuffle(tu_random *random, eid_entry **entries, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)tu_random_below(random, i);
        eid_entry *swap = entries[i - 1];
        entries[i - 1] = entries[k];
        entries[k] = swap;
    }
}

void rd_make(random_database *w, uint64_t seed, const th_shape *wanted)
{
    memset(w, 0, sizeof *w);
    w->random = (tu_random){seed};
    snprintf(w->what, sizeof w->what, "history %llu", (unsigned long long)seed);
    th_shape shape = wanted != NULL ? *wanted : rd_wild(&w->random);
    w->entries = th_generate(&w->random, &shape);
    tm_build(&w->model, w->entries, shape.entries);
    eid_entry **arrival = calloc(shape.entries, sizeof(eid_entry *));
    memcpy(arrival, w->entries, shape.entries * sizeof(eid_entry *));
    shuffle(&w->random, arrival, shape.entries);
    w->core = dt_memory();
    const eid_id *root = eid_entry_id(w->entries[0]);
    /* In two batches, so that what waits in the quarantine is part of the test. The root has to come with the first. */
    size_t first = (size_t)tu_random_below(&w->random, shape.entries);
    for (size_t i = 0; i < shape.entries; i++)
        if (arrival[i] == w->entries[0]) {
            arrival[i] = arrival[0];
            arrival[0] = w->entries[0];
        }
    dt_receive(w->core, root, arrival, first + 1);
    dt_receive(w->core, root, arrival + first + 1, shape.entries - first - 1);
    free(arrival);
    uint64_t held;
    tu_assert_ok(eid_core_entry_count(w->core, root, &held));
    assert_int_equal(held, shape.entries);
    w->database = dt_open_as(w->core, root, 0);
}

void rd_free(random_database *w)
{
    eid_database_close(w->database);
    eid_core_close(w->core);
    size_t count = w->model.count;
    tm_free(&w->model);
    th_free_entries(w->entries, count);
}

char *rd_store_name(const tm_model *model, size_t store)
{
    char *name = calloc(model->stores[store].len + 1, 1);
    memcpy(name, model->stores[store].data, model->stores[store].len);
    return name;
}

bool *rd_snapshot(random_database *w, eid_id tips[RD_TIPS], size_t *count)
{
    bool *members = tm_set(&w->model, false);
    *count = (size_t)tu_random_below(&w->random, RD_TIPS + 1);
    for (size_t t = 0; t < *count; t++) {
        size_t node = (size_t)tu_random_below(&w->random, w->model.count);
        tips[t] = *eid_entry_id(w->entries[node]);
        members[node] = true;
    }
    tm_ancestors(&w->model, members);
    return members;
}

eid_doc *rd_doc_at(const tm_model *model, const bool *members, size_t store)
{
    bool *present = tm_set(model, true), *tips = tm_set(model, false), *closure = tm_set(model, false);
    tm_store_tips(model, members, store, tips);
    tm_closure(model, present, store, tips, closure);
    eid_doc *doc = tm_fold(model, closure, store);
    free(present);
    free(tips);
    free(closure);
    return doc;
}
