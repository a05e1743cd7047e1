/* SPDX-License-Identifier: Apache-2.0 */
/* Several users with several databases, step by step at random beside a plain model of them: who tracks what in which order, what
 * each wishes, what comes of it together; through grants, disabled and replaced users, the instance's own wishes, and restarts. */
#include "support/testutil.h"
#include "sync/sync_int.h"
#include <eidetica/eidetica.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USERS     4
#define DATABASES 10
#define STEPS     260

typedef struct wish {
    bool tracked;
    int order; /* when it was added */
    bool enabled, on_commit;
    uint64_t interval;
    int property; /* 0: none */
} wish;

typedef struct person {
    char name[16];
    eid_user *session; /* NULL while disabled */
    bool disabled;
    bool may[DATABASES];
    wish wishes[DATABASES];
} person;

typedef struct store {
    eid_id id;
    int owner; /* -1 when the one who made it is gone */
    bool own;  /* the instance wishes it */
    int linked[USERS], linked_count; /* users whose wishes count, in the order they came */
} store;

typedef struct world {
    char url[700];
    eid_instance *instance;
    eid_sync *sync;
    person people[USERS];
    store stores[DATABASES];
    int store_count;
    int order;
    tu_random random;
} world;

static int draw(world *w, int bound)
{
    return (int)tu_random_below(&w->random, (uint64_t)bound);
}

/* ---- The model ---- */

static void unlink_user(store *s, int user)
{
    int kept = 0;
    for (int i = 0; i < s->linked_count; i++)
        if (s->linked[i] != user)
            s->linked[kept++] = s->linked[i];
    s->linked_count = kept;
}

static void relink(world *w, int user, int database)
{
    const person *p = &w->people[user];
    store *s = &w->stores[database];
    bool counts = !p->disabled && p->wishes[database].tracked && p->wishes[database].enabled, is = false;
    for (int i = 0; i < s->linked_count; i++)
        is = is || s->linked[i] == user;
    if (is && !counts)
        unlink_user(s, user);
    if (!is && counts)
        s->linked[s->linked_count++] = user;
}

static void relink_all(world *w, int user)
{
    for (int d = 0; d < w->store_count; d++)
        relink(w, user, d);
}

static void check_combined(world *w, int database)
{
    const store *s = &w->stores[database];
    eid_sync_settings found;
    bool enabled = s->own, on_commit = s->own;
    uint64_t interval = 0;
    char property[16] = "";

    for (int i = 0; i < s->linked_count; i++) {
        const wish *one = &w->people[s->linked[i]].wishes[database];
        enabled = true;
        on_commit = on_commit || one->on_commit;
        if (one->interval != 0 && (interval == 0 || one->interval < interval))
            interval = one->interval;
        if (one->property != 0)
            snprintf(property, sizeof property, "%d", one->property);
    }
    tu_assert_ok(eid_sync_combined_settings(w->sync, &s->id, &found));
    assert_int_equal(found.sync_enabled, enabled);
    assert_int_equal(found.sync_on_commit, on_commit);
    assert_int_equal(found.interval_seconds, interval);
    const char *text = eid_sync_settings_get_property(&found, "p");
    assert_string_equal(text == NULL ? "" : text, property);
    eid_sync_settings_clear(&found);
    assert_int_equal(eid_sync_is_shared(w->sync, &s->id), enabled);
}

static void check_wish(const wish *wanted, const eid_database_preferences *found)
{
    char property[16];
    const char *text = eid_sync_settings_get_property(&found->sync_settings, "p");

    assert_int_equal(found->sync_settings.sync_enabled, wanted->enabled);
    assert_int_equal(found->sync_settings.sync_on_commit, wanted->on_commit);
    assert_int_equal(found->sync_settings.interval_seconds, wanted->interval);
    snprintf(property, sizeof property, "%d", wanted->property);
    assert_string_equal(text == NULL ? "0" : text, property);
}

static void check_list(world *w, const person *p)
{
    eid_database_preferences *list;
    size_t count, wanted = 0;
    int last = -1;

    for (int d = 0; d < w->store_count; d++)
        wanted += p->wishes[d].tracked;
    tu_assert_ok(eid_user_list_database_prefs(p->session, &list, &count));
    assert_int_equal(count, wanted);
    for (size_t i = 0; i < count; i++) {
        int d = 0;
        while (d < w->store_count && !eid_id_equal(&w->stores[d].id, &list[i].database_id))
            d++;
        assert_true(d < w->store_count && p->wishes[d].tracked);
        assert_true(p->wishes[d].order > last); /* the one added first comes first */
        last = p->wishes[d].order;
        check_wish(&p->wishes[d], &list[i]);
    }
    eid_database_preferences_free(list, count);
}

static void check_world(world *w)
{
    for (int d = 0; d < w->store_count; d++)
        check_combined(w, d);
    for (int u = 0; u < USERS; u++)
        if (w->people[u].session != NULL)
            check_list(w, &w->people[u]);
}

/* ---- Steps ---- */

static void enter(world *w, int user)
{
    person *p = &w->people[user];
    tu_assert_ok(eid_instance_login_or_create_user(w->instance, p->name, NULL, &p->session));
}

static void open_world(world *w)
{
    tu_assert_ok(eid_instance_open_url(w->url, &w->instance));
    tu_assert_ok(eid_instance_enable_sync(w->instance));
    tu_assert_ok(eid_instance_sync(w->instance, &w->sync));
    for (int u = 0; u < USERS; u++)
        if (!w->people[u].disabled)
            enter(w, u);
}

static void close_world(world *w)
{
    for (int u = 0; u < USERS; u++) {
        eid_user_logout(w->people[u].session);
        w->people[u].session = NULL;
    }
    eid_instance_close(w->instance);
}

static void create(world *w, int user)
{
    person *p = &w->people[user];
    eid_database *database;

    if (p->session == NULL || w->store_count == DATABASES)
        return;
    store *s = &w->stores[w->store_count];
    tu_assert_ok(eid_user_create_database(p->session, "database", &database));
    *s = (store){.id = *eid_database_root_id(database), .owner = user};
    eid_database_close(database);
    p->may[w->store_count] = true;
    p->wishes[w->store_count] = (wish){.tracked = true, .order = w->order++};
    w->store_count++;
}

static void grant(world *w, int user, int database)
{
    const store *s = &w->stores[database];
    person *p = &w->people[user];
    eid_database *opened;
    eid_pubkey key;
    eid_txn *txn;

    if (s->owner < 0 || w->people[s->owner].session == NULL || p->session == NULL || p->may[database])
        return;
    eid_user_get_default_key(p->session, &key);
    tu_assert_ok(eid_user_open_database(w->people[s->owner].session, &s->id, &opened));
    tu_assert_ok(eid_database_new_transaction(opened, &txn));
    tu_assert_ok(eid_settings_set_auth_key(txn, &key, p->name, (eid_permission){EID_PERM_WRITE, 10}, EID_KEY_ACTIVE));
    tu_assert_ok(eid_txn_commit_free(txn, NULL));
    eid_database_close(opened);
    p->may[database] = true;
}

static void set_prefs(world *w, int user, int database)
{
    eid_database_preferences given = EID_DATABASE_PREFERENCES_INIT;
    person *p = &w->people[user];
    wish *known = &p->wishes[database];
    char text[16];

    if (p->session == NULL)
        return;
    wish wanted = {true, known->tracked ? known->order : w->order, draw(w, 3) > 0, draw(w, 2) == 0, (uint64_t)draw(w, 4) * 15,
                   draw(w, 5)};
    given.database_id = w->stores[database].id;
    given.sync_settings.sync_enabled = wanted.enabled;
    given.sync_settings.sync_on_commit = wanted.on_commit;
    given.sync_settings.interval_seconds = wanted.interval;
    snprintf(text, sizeof text, "%d", wanted.property);
    tu_assert_ok(eid_sync_settings_set_property(&given.sync_settings, "p", wanted.property == 0 ? NULL : text));
    if (!known->tracked && !p->may[database]) {
        tu_assert_fails(eid_user_set_prefs(p->session, &given), EID_ERR_NO_KEY_FOR_DATABASE);
    } else {
        tu_assert_ok(draw(w, 2) == 0 ? eid_user_set_prefs(p->session, &given) : eid_user_add_database(p->session, &given));
        w->order += !known->tracked;
        *known = wanted;
        relink(w, user, database);
    }
    eid_database_preferences_clear(&given);
}

static void remove_database(world *w, int user, int database)
{
    person *p = &w->people[user];
    eid_database *opened;

    if (p->session == NULL)
        return;
    eid_status wanted = p->wishes[database].tracked ? EID_OK : EID_ERR_DATABASE_NOT_TRACKED;
    assert_int_equal(eid_user_remove_database(p->session, &w->stores[database].id), wanted);
    p->wishes[database].tracked = false;
    relink(w, user, database);
    if (wanted == EID_OK) { /* it still opens */
        tu_assert_ok(eid_user_open_database(p->session, &w->stores[database].id, &opened));
        eid_database_close(opened);
    }
}

static void switch_sync(world *w, int user, int database)
{
    person *p = &w->people[user];
    bool enabled = draw(w, 2) == 0;
    const eid_id *id = &w->stores[database].id;

    if (p->session == NULL)
        return;
    eid_status wanted = p->wishes[database].tracked ? EID_OK : EID_ERR_DATABASE_NOT_TRACKED;
    assert_int_equal(enabled ? eid_user_enable_sync(p->session, id) : eid_user_disable_sync(p->session, id), wanted);
    if (wanted == EID_OK)
        p->wishes[database].enabled = enabled;
    relink(w, user, database);
}

static void switch_user(world *w, int user)
{
    person *p = &w->people[user];

    p->disabled = !p->disabled;
    if (p->disabled) {
        tu_assert_ok(eid_instance_disable_user(w->instance, p->name));
        eid_user_logout(p->session);
        p->session = NULL;
    } else {
        tu_assert_ok(eid_instance_enable_user(w->instance, p->name));
        enter(w, user);
    }
    relink_all(w, user);
}

/* Removed, and somebody new under the same name. */
static void replace_user(world *w, int user)
{
    person *p = &w->people[user];

    tu_assert_ok(eid_instance_remove_user(w->instance, p->name));
    eid_user_logout(p->session);
    p->session = NULL;
    p->disabled = false;
    memset(p->may, 0, sizeof p->may);
    memset(p->wishes, 0, sizeof p->wishes);
    for (int d = 0; d < w->store_count; d++) {
        unlink_user(&w->stores[d], user);
        if (w->stores[d].owner == user)
            w->stores[d].owner = -1;
    }
    enter(w, user);
}

static void switch_own(world *w, int database)
{
    store *s = &w->stores[database];

    s->own = !s->own;
    tu_assert_ok(eid_sync_set_database_enabled(w->sync, &s->id, s->own));
}

static void step(world *w)
{
    int user = draw(w, USERS), what = draw(w, 40);

    if (w->store_count == 0 || what < 4) {
        create(w, user);
        return;
    }
    int database = draw(w, w->store_count);
    if (what < 11)
        grant(w, user, database);
    else if (what < 23)
        set_prefs(w, user, database);
    else if (what < 27)
        remove_database(w, user, database);
    else if (what < 32)
        switch_sync(w, user, database);
    else if (what < 35)
        switch_user(w, user);
    else if (what < 36)
        replace_user(w, user);
    else if (what < 39)
        switch_own(w, database);
    else {
        close_world(w);
        open_world(w);
    }
}

static void run_world(uint64_t seed)
{
    char *dir = tu_temp_dir();
    world *w = calloc(1, sizeof *w);

    w->random = (tu_random){seed};
    snprintf(w->url, sizeof w->url, "sqlite:%s/a.db", dir);
    for (int u = 0; u < USERS; u++)
        snprintf(w->people[u].name, sizeof w->people[u].name, "user %d", u);
    open_world(w);
    for (int i = 0; i < STEPS; i++) {
        step(w);
        check_world(w);
    }
    assert_true(w->store_count >= DATABASES / 2);
    close_world(w);
    free(w);
    tu_temp_dir_remove(dir);
}

/* Features 76, 77, 78 */
static void wishes_follow_the_model(void **state)
{
    (void)state;
    tu_random random = tu_random_seeded(20);
    for (int i = 0; i < 4; i++)
        run_world(tu_random_next(&random));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(wishes_follow_the_model)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
