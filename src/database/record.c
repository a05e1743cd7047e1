/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the registry (spec stores.md section 4), as far as commits need to understand them. */
#include "database/database_int.h"

static eid_status put_config(eid_doc *record, const eid_doc *config)
{
    if (config != NULL)
        return eid_doc_set_doc(record, "config", config);
    eid_doc *empty;
    EID_TRY(eid_doc_new(&empty));
    eid_status status = eid_doc_set_doc(record, "config", empty);
    eid_doc_free(empty);
    return status;
}

eid_status eid_store_record_new(const char *type, const eid_doc *config, eid_doc **out)
{
    eid_doc *record;
    EID_TRY(eid_doc_new(&record));
    eid_status status = eid_doc_set_string(record, "type", type);
    if (status == EID_OK)
        status = put_config(record, config);
    if (status != EID_OK) {
        eid_doc_free(record);
        return status;
    }
    *out = record;
    return EID_OK;
}

void eid_store_record_strategy(const eid_value *record, bool *has, eid_height_strategy *out)
{
    const eid_doc *doc;
    const eid_value *strategy;
    *has = eid_value_as_doc(record, &doc) == EID_OK && eid_doc_get(doc, "settings.height_strategy", &strategy) == EID_OK;
    if (*has)
        *out = eid_height_strategy_of(strategy);
}
