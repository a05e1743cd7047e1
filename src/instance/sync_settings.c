/* SPDX-License-Identifier: Apache-2.0 */
/* Sync settings: one user's wish for one database, or the wishes of all of them combined (spec users.md sections 12 and 13). */
#include "base/alloc.h"
#include "base/sized.h"
#include "base/search.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "codec/fields.h"
#include "instance/records.h"

void eid_sync_settings_init(eid_sync_settings *settings)
{
    *settings = (eid_sync_settings)EID_SYNC_SETTINGS_DISABLED;
}

static void free_property(eid_property *property)
{
    eid_free(property->name);
    eid_free(property->value);
}

void eid_sync_settings_clear(eid_sync_settings *settings)
{
    if (settings == NULL)
        return;
    for (size_t i = 0; i < settings->property_count; i++)
        free_property(&settings->properties[i]);
    eid_free(settings->properties);
    eid_sync_settings_init(settings);
}

static int compare_name(const void *name, const void *property)
{
    return strcmp(name, ((const eid_property *)property)->name);
}

/* The place of the name, or where it would stand. */
static size_t place_of(const eid_sync_settings *settings, const char *name, bool *found)
{
    return eid_search(name, settings->properties, settings->property_count, sizeof(eid_property), compare_name, found);
}

/* Takes both texts, on failure too; the name is not wanted when it is there already. */
static eid_status put_property(eid_sync_settings *settings, char *name, char *value)
{
    eid_property fresh = {name, value};
    bool found;

    if (name == NULL || value == NULL) {
        free_property(&fresh);
        return eid_fail_memory();
    }
    size_t at = place_of(settings, name, &found);
    if (found) {
        eid_free(settings->properties[at].value);
        settings->properties[at].value = value;
        eid_free(name);
        return EID_OK;
    }
    eid_property *grown =
        eid_realloc_array(settings->properties, settings->property_count + 1, sizeof(eid_property));
    if (grown == NULL) {
        free_property(&fresh);
        return eid_fail_memory();
    }
    memmove(grown + at + 1, grown + at, (settings->property_count - at) * sizeof *grown);
    grown[at] = fresh;
    settings->properties = grown;
    settings->property_count++;
    return EID_OK;
}

static eid_status check_text(const char *text)
{
    eid_slice slice = eid_slice_text(text);

    if (slice.len > EID_LIMIT_PROPERTY_BYTES)
        return eid_fail(EID_ERR_LIMIT, "the name and the value of a property have at most %d bytes each, not %zu",
                        EID_LIMIT_PROPERTY_BYTES, slice.len);
    if (!eid_utf8_valid(slice))
        return eid_fail(EID_ERR_UTF8, "the name and the value of a property must be valid UTF-8");
    return EID_OK;
}

eid_status eid_sync_settings_set_property(eid_sync_settings *settings, const char *name, const char *value)
{
    EID_NEED(settings && name);
    bool found;
    size_t at = place_of(settings, name, &found);

    if (value == NULL) {
        if (found) {
            free_property(&settings->properties[at]);
            settings->property_count--;
            memmove(settings->properties + at, settings->properties + at + 1,
                    (settings->property_count - at) * sizeof(eid_property));
        }
        return EID_OK;
    }
    EID_TRY(check_text(name));
    EID_TRY(check_text(value));
    if (!found && settings->property_count >= EID_LIMIT_PROPERTIES)
        return eid_fail(EID_ERR_LIMIT, "a database has at most %d properties", EID_LIMIT_PROPERTIES);
    return put_property(settings, eid_strdup(name), eid_strdup(value));
}

const char *eid_sync_settings_get_property(const eid_sync_settings *settings, const char *name)
{
    bool found;
    size_t at = place_of(settings, name, &found);

    return found ? settings->properties[at].value : NULL;
}

bool eid_sync_settings_equal(const eid_sync_settings *a, const eid_sync_settings *b)
{
    if (a->sync_enabled != b->sync_enabled || a->sync_on_commit != b->sync_on_commit ||
        a->interval_seconds != b->interval_seconds || a->property_count != b->property_count)
        return false;
    for (size_t i = 0; i < a->property_count; i++) {
        if (strcmp(a->properties[i].name, b->properties[i].name) != 0 ||
            strcmp(a->properties[i].value, b->properties[i].value) != 0)
            return false;
    }
    return true;
}

static eid_status add_properties(eid_sync_settings *into, const eid_sync_settings *from)
{
    for (size_t i = 0; i < from->property_count; i++)
        EID_TRY(put_property(into, eid_strdup(from->properties[i].name), eid_strdup(from->properties[i].value)));
    return EID_OK;
}

eid_status eid_sync_settings_copy(const eid_sync_settings *settings, eid_sync_settings *out)
{
    EID_NEED(settings && out);
    eid_sync_settings given = EID_SYNC_SETTINGS_DISABLED, copy;

    EID_TRY(eid_sized_take(&given, sizeof given, settings, "eid_sync_settings"));
    copy = given;
    copy.properties = NULL;
    copy.property_count = 0;
    eid_status status = add_properties(&copy, &given);
    if (status == EID_OK)
        *out = copy;
    else
        eid_sync_settings_clear(&copy);
    return status;
}

eid_status eid_sync_settings_combine(eid_sync_settings *into, const eid_sync_settings *other)
{
    into->sync_enabled |= other->sync_enabled;
    into->sync_on_commit |= other->sync_on_commit;
    if (other->interval_seconds != 0 &&
        (into->interval_seconds == 0 || other->interval_seconds < into->interval_seconds))
        into->interval_seconds = other->interval_seconds;
    return add_properties(into, other);
}

/* ---- Records ---- */

static eid_status read_properties(eid_json *reader, eid_sync_settings *settings)
{
    eid_slice key;
    bool more;

    EID_TRY(eid_json_begin_object(reader, "properties"));
    for (;;) {
        char *name, *value = NULL;
        EID_TRY(eid_json_next_key(reader, &key, &more));
        if (!more)
            return EID_OK;
        if (key.len > 0 && memchr(key.data, 0, key.len) != NULL)
            return eid_fail(EID_ERR_WRONG_TYPE, "the name of a property holds a zero character");
        name = eid_memdup(key.data, key.len);
        if (name == NULL)
            return eid_fail_memory();
        eid_status status = eid_field_text(reader, "a property", &value);
        if (status != EID_OK) {
            eid_free(name);
            return status;
        }
        EID_TRY(put_property(settings, name, value));
    }
}

static eid_status read_settings(eid_json *reader, eid_sync_settings *settings)
{
    static const char *const names[] = {"sync_enabled", "sync_on_commit", "interval_seconds", "properties"};
    EID_OBJECT(object, names, EID_FIELDS(2));
    bool more, was_null;
    size_t field;

    EID_TRY(eid_json_begin_object(reader, "sync settings"));
    for (;;) {
        EID_TRY(eid_object_next(reader, &object, &field, &more));
        if (!more)
            return EID_OK;
        switch (field) {
        case 0:
            EID_TRY(eid_json_read_bool(reader, names[field], &settings->sync_enabled));
            break;
        case 1:
            EID_TRY(eid_json_read_bool(reader, names[field], &settings->sync_on_commit));
            break;
        case 2:
            EID_TRY(eid_json_read_null(reader, &was_null));
            if (!was_null)
                EID_TRY(eid_json_read_u64(reader, names[field], &settings->interval_seconds));
            break;
        default:
            EID_TRY(read_properties(reader, settings));
            break;
        }
    }
}

eid_status eid_sync_settings_read(eid_json *reader, eid_sync_settings *out)
{
    eid_sync_settings settings = EID_SYNC_SETTINGS_DISABLED;
    eid_status status = read_settings(reader, &settings);

    if (status == EID_OK)
        *out = settings;
    else
        eid_sync_settings_clear(&settings);
    return status;
}

void eid_sync_settings_write(eid_buf *buf, const eid_sync_settings *settings)
{
    eid_buf_append_text(buf, "{\"sync_enabled\":");
    eid_write_bool(buf, settings->sync_enabled);
    eid_buf_append_text(buf, ",\"sync_on_commit\":");
    eid_write_bool(buf, settings->sync_on_commit);
    eid_buf_append_text(buf, ",\"interval_seconds\":");
    if (settings->interval_seconds == 0)
        eid_buf_append_text(buf, "null");
    else
        eid_json_write_u64(buf, settings->interval_seconds);
    eid_buf_append_text(buf, ",\"properties\":{");
    for (size_t i = 0; i < settings->property_count; i++) {
        if (i > 0)
            eid_buf_append_byte(buf, ',');
        eid_json_write_cstr(buf, settings->properties[i].name);
        eid_buf_append_byte(buf, ':');
        eid_json_write_cstr(buf, settings->properties[i].value);
    }
    eid_buf_append_text(buf, "}}");
}

/* ---- Preferences ---- */

void eid_database_preferences_init(eid_database_preferences *preferences)
{
    *preferences = (eid_database_preferences)EID_DATABASE_PREFERENCES_INIT;
}

void eid_database_preferences_clear(eid_database_preferences *preferences)
{
    if (preferences == NULL)
        return;
    eid_sync_settings_clear(&preferences->sync_settings);
    eid_database_preferences_init(preferences);
}

void eid_database_preferences_free(eid_database_preferences *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        eid_database_preferences_clear(&list[i]);
    eid_free(list);
}
