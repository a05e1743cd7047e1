/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping track of which entries count: when they arrive, and when what arrives changes the standing of others.
 *
 * Most entries cost a look at three counters. As long as no right was ever taken away every entry counts; when one was, an
 * entry of its holder is compared with the endings of that holder. A settings entry that knows all others, and takes nothing
 * from one it has not seen, is judged alone; any other makes all of them be judged anew, once for the whole batch. Entries
 * are looked at again only outside the past of an act whose standing changed, or that ends somebody's right.
 */
#include "database/standing_int.h"

#include "base/alloc.h"
#include "codec/cid.h"
#include "database/database_int.h"
#include "database/walk.h"

/* ---- Taking part or not ---- */

/* An entry that was judged already and is judged otherwise now. */
static eid_status change_standing(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n,
                                  bool counts)
{
    EID_TRY(eid_storage_mark(storage, tree, entry, n, counts));
    return eid_state_change(batch, tree, entry, n, counts);
}

static eid_status begin_standing(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n,
                                 bool counts)
{
    return counts ? eid_state_apply(batch, tree, entry, n) : eid_storage_mark(storage, tree, entry, n, false);
}

/* Nothing was ever taken from anybody, so nothing can be void but what was done by delegation. */
static bool all_count(const eid_charter *charter)
{
    return charter->ended_count + charter->void_count + charter->sweeping_count == 0;
}

/* ---- Arrival ---- */

static bool takes_writing(const eid_act *act)
{
    for (size_t i = 0; i < act->change_count; i++)
        if (act->changes[i].kept < EID_POWER_WRITE)
            return true;
    return act->swept != 0;
}

/* Entries outside its past are to be looked at when the batch ends. */
static eid_status look_again(eid_charter *charter, eid_act *act)
{
    eid_buf_append(&charter->changed, &act, sizeof act);
    return eid_buf_status(&charter->changed);
}

static eid_status join_act(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_entry *entry, int64_t n,
                           eid_act **out)
{
    eid_act *act;
    EID_TRY(eid_act_new(storage, charter, entry, n, &act));
    eid_status status = eid_act_follow_path(storage, tree, act, entry);
    if (status == EID_OK)
        status = eid_charter_join(charter, act);
    if (status != EID_OK) {
        eid_act_free(act);
        return status;
    }
    bool alone;
    eid_standing_verdict verdict;
    EID_TRY(eid_act_stands_alone(storage, tree, charter, act, &alone));
    EID_TRY(eid_act_judge(storage, tree, charter, act, &verdict));
    act->status = verdict.reason;
    charter->undecided = charter->undecided || !alone;
    charter->void_count += act->status != EID_STANDS;
    if (act->status == EID_STANDS && takes_writing(act))
        EID_TRY(look_again(charter, act));
    *out = act;
    return EID_OK;
}

eid_status eid_standing_take(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    eid_charter *charter;
    EID_TRY(eid_charter_of(storage, tree, n - 1, &charter));
    bool counts = true;
    if (eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL) {
        eid_act *act;
        EID_TRY(join_act(storage, tree, charter, entry, n, &act));
        counts = act->status == EID_STANDS;
    } else if (!all_count(charter) || entry->sigkey.is_delegation) {
        eid_standing_verdict verdict;
        EID_TRY(eid_data_judge(storage, tree, charter, entry, n, &verdict));
        counts = verdict.reason == EID_STANDS;
    }
    return begin_standing(storage, batch, tree, entry, n, counts);
}

/* ---- What arrived changes the standing of others ---- */

static eid_status settle_act(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, eid_charter *charter, eid_act *act)
{
    bool was = act->status == EID_STANDS, is = act->next == EID_STANDS;
    act->status = act->next;
    if (was == is)
        return EID_OK;
    if (is)
        charter->void_count--;
    else
        charter->void_count++;
    eid_entry *entry;
    EID_TRY(eid_storage_load(storage, act->node.n, &entry));
    eid_status status = change_standing(storage, batch, tree, entry, act->node.n, is);
    eid_entry_unref(entry);
    EID_TRY(status);
    return look_again(charter, act);
}

static eid_status settle_acts(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, eid_charter *charter)
{
    if (!charter->undecided)
        return EID_OK;
    EID_TRY(eid_charter_decide(storage, tree, charter));
    for (size_t i = 0; i < charter->count; i++)
        EID_TRY(settle_act(storage, batch, tree, charter, charter->acts[i]));
    charter->undecided = false;
    return EID_OK;
}

/* Entries that are not in the past of every one of these acts. */
static eid_status find_affected(eid_storage *storage, const eid_tree *tree, eid_act *const *acts, size_t count, eid_buf *found)
{
    eid_dag_walk walk;
    uint8_t all = (uint8_t)((1u << count) - 1);
    eid_dag_walk_init(&walk, all);
    eid_status status = EID_OK;
    for (size_t i = 0; i < tree->main->tip_count && status == EID_OK; i++)
        status = eid_dag_walk_push(&walk, tree->main->tips[i].n, 0);
    for (size_t i = 0; i < count && status == EID_OK; i++)
        status = eid_dag_walk_push(&walk, acts[i]->node.n, (uint8_t)(1u << i));
    while (status == EID_OK && walk.wanted > 0) {
        eid_dag_item item;
        status = eid_dag_walk_next(&walk, storage, tree, &item);
        if (status == EID_OK && (item.marks & all) != all)
            eid_buf_append(found, &item.n, sizeof item.n);
    }
    eid_dag_walk_free(&walk);
    return status == EID_OK ? eid_buf_status(found) : status;
}

static bool collect_number(const eid_participation *part, void *ctx)
{
    eid_buf_append(ctx, &part->n, sizeof part->n);
    return true;
}

static eid_status judge_again(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, eid_charter *charter, int64_t n)
{
    if (eid_charter_act(charter, n) != NULL)
        return EID_OK;
    eid_entry *entry;
    eid_standing_verdict verdict;
    bool was;
    EID_TRY(eid_storage_counts(storage, tree, n, &was));
    EID_TRY(eid_storage_load(storage, n, &entry));
    eid_status status = eid_data_judge(storage, tree, charter, entry, n, &verdict);
    if (status == EID_OK && was != (verdict.reason == EID_STANDS))
        status = change_standing(storage, batch, tree, entry, n, !was);
    eid_entry_unref(entry);
    return status;
}

/* A walk carries this many marks; for more acts at once everything is looked at. */
#define ACTS_A_WALK 8

static eid_status settle_data(eid_storage *storage, eid_state_batch *batch, eid_tree *tree, eid_charter *charter)
{
    eid_act *acts[ACTS_A_WALK];
    size_t count = charter->changed.len / sizeof(eid_act *);
    if (count == 0)
        return EID_OK;
    eid_buf found;
    eid_buf_init(&found, SIZE_MAX / 2);
    eid_status status;
    if (count <= ACTS_A_WALK) {
        memcpy(acts, charter->changed.data, charter->changed.len);
        status = find_affected(storage, tree, acts, count, &found);
    } else {
        status = eid_storage_each_participation(storage, tree->main, 0, INT64_MAX, collect_number, &found);
        if (status == EID_OK)
            status = eid_buf_status(&found);
    }
    for (size_t i = 0; i < found.len / sizeof(int64_t) && status == EID_OK; i++) {
        int64_t n;
        memcpy(&n, found.data + i * sizeof n, sizeof n);
        status = judge_again(storage, batch, tree, charter, n);
    }
    eid_buf_free(&found);
    eid_buf_reset(&charter->changed);
    return status;
}

eid_status eid_standing_settle(eid_storage *storage, eid_state_batch *batch, eid_tree *tree)
{
    eid_charter *charter;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    EID_TRY(settle_acts(storage, batch, tree, charter));
    return settle_data(storage, batch, tree, charter);
}

eid_status eid_standing_counts(eid_storage *storage, eid_tree *tree, const eid_id *id, bool *out)
{
    eid_charter *charter;
    int64_t n;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    *out = true;
    if (all_count(charter) && !charter->delegates)
        return EID_OK;
    EID_TRY(eid_storage_find(storage, id, &n, NULL));
    return eid_storage_counts(storage, tree, n, out);
}

/* ---- Making the index again ---- */

/* What one run of the storage works with: the cells due, and the trees to be settled. */
typedef struct replay_batch {
    eid_state_batch *cells;
    eid_buf trees;           /* roots of trees, each once */
} replay_batch;

static void replay_free(void **batch)
{
    replay_batch *b = *batch;
    *batch = NULL;
    if (b == NULL)
        return;
    eid_state_batch_free(b->cells);
    eid_buf_free(&b->trees);
    eid_free(b);
}

static eid_status replay_new(eid_storage *storage, void **batch)
{
    replay_batch *b = eid_alloc_zero(1, sizeof *b);
    if (b == NULL)
        return eid_fail_memory();
    eid_buf_init(&b->trees, SIZE_MAX / 2);
    eid_status status = eid_state_batch_new(storage, &b->cells);
    if (status != EID_OK) {
        eid_free(b);
        return status;
    }
    *batch = b;
    return EID_OK;
}

static eid_status note_tree(replay_batch *b, const eid_tree *tree)
{
    const eid_id *roots = (const eid_id *)(const void *)b->trees.data;
    for (size_t i = b->trees.len / sizeof *roots; i > 0; i--)
        if (eid_id_equal(&roots[i - 1], &tree->root))
            return EID_OK;
    eid_buf_append(&b->trees, &tree->root, sizeof tree->root);
    return eid_buf_status(&b->trees);
}

static eid_status replay_end(eid_storage *storage, replay_batch *b)
{
    for (size_t i = 0; i < b->trees.len / sizeof(eid_id); i++) {
        eid_id root;
        eid_tree *tree;
        memcpy(&root, b->trees.data + i * sizeof root, sizeof root);
        EID_TRY(eid_storage_tree(storage, &root, &tree));
        EID_TRY(eid_standing_settle(storage, b->cells, tree));
    }
    return eid_state_batch_finish(b->cells);
}

static eid_status replay(eid_storage *storage, void **batch, eid_tree *tree, const eid_entry *entry, int64_t n)
{
    if (entry != NULL) {
        if (*batch == NULL)
            EID_TRY(replay_new(storage, batch));
        replay_batch *b = *batch;
        EID_TRY(note_tree(b, tree));
        return eid_standing_take(storage, b->cells, tree, entry, n);
    }
    eid_status status = n == 0 && *batch != NULL ? replay_end(storage, *batch) : EID_OK;
    if (n < 0 || status == EID_OK)
        replay_free(batch);
    return status;
}

void eid_standing_attach(eid_storage *storage)
{
    eid_storage_set_replay(storage, replay);
}

/* ---- Sentences ---- */

static void append_name(eid_buf *sentence, const eid_holder *holder)
{
    if (holder == NULL || holder->name.len == 0)
        eid_buf_append_text(sentence, "everybody");
    else if (holder->name.data[0] == 'g')
        eid_buf_append_text(sentence, "the global permission");
    else
        eid_buf_appendf(sentence, "%s %.*s", holder->name.data[0] == 'k' ? "the key" : "the delegation to",
                        holder->name.len < 80 ? (int)holder->name.len - 1 : 80, (const char *)holder->name.data + 1);
}

static void append_reason(eid_buf *sentence, const eid_standing_verdict *verdict)
{
    char id[EID_ID_TEXT_SIZE];
    if (verdict->reason == EID_VOID_CUT) {
        eid_id_format(&verdict->cause->node.id, id);
        eid_buf_append_text(sentence, "the right of ");
        append_name(sentence, verdict->author);
        eid_buf_appendf(sentence, " was ended by entry %s, which neither knew of this one nor is known to it", id);
    } else if (verdict->reason == EID_VOID_NO_RIGHT) {
        eid_buf_append_text(sentence, "what gave ");
        append_name(sentence, verdict->author);
        eid_buf_append_text(sentence, " the right does not count");
    } else if (verdict->reason == EID_VOID_DELEGATION) {
        append_name(sentence, verdict->author);
        eid_buf_append_text(sentence, " does not give the right: what is claimed is below a floor it had, or grants that do not count");
    } else if (verdict->reason == EID_VOID_NOT_ENTITLED) {
        eid_buf_append_text(sentence, "it changes rights that are stronger than those of ");
        append_name(sentence, verdict->author);
    }
}

static eid_status explain(const eid_standing_verdict *verdict, eid_standing_reason *reason, eid_buf *sentence)
{
    *reason = verdict->reason;
    append_reason(sentence, verdict);
    return eid_buf_status(sentence);
}

static eid_status explain_data(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_entry *entry, int64_t n,
                               eid_standing_reason *reason, eid_buf *sentence)
{
    eid_standing_verdict verdict;
    EID_TRY(eid_data_judge(storage, tree, charter, entry, n, &verdict));
    return explain(&verdict, reason, sentence);
}

/* `entry` NULL: it is loaded when it is needed. */
static eid_status explain_act(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, const eid_entry *entry,
                              eid_standing_reason *reason, eid_buf *sentence)
{
    eid_standing_verdict verdict;
    EID_TRY(eid_act_follow_path(storage, tree, act, entry));
    EID_TRY(eid_act_judge(storage, tree, charter, act, &verdict));
    return explain(&verdict, reason, sentence);
}

eid_status eid_standing_explain(eid_storage *storage, eid_tree *tree, int64_t n, eid_standing_reason *reason, eid_buf *sentence)
{
    eid_charter *charter;
    eid_entry *entry;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    eid_act *act = eid_charter_act(charter, n);
    if (act != NULL)
        return explain_act(storage, tree, charter, act, NULL, reason, sentence);
    EID_TRY(eid_storage_load(storage, n, &entry));
    eid_status status = explain_data(storage, tree, charter, entry, n, reason, sentence);
    eid_entry_unref(entry);
    return status;
}

/* ---- Own commits ---- */

/* The power of a holder once the act counts too. */
static eid_status power_after(eid_powers *powers, const eid_act *act, const eid_holder *holder, uint64_t *out)
{
    for (size_t i = 0; i < act->change_count; i++)
        if (act->changes[i].holder == holder) {
            *out = act->changes[i].power;
            return EID_OK;
        }
    if (act->swept != 0) {
        *out = EID_POWER_NONE;
        return EID_OK;
    }
    return eid_powers_read(powers, holder, out);
}

/* Whether it takes from some key the power to change the settings. */
static eid_status weakens_admin(eid_powers *powers, const eid_act *act, bool *out)
{
    *out = act->swept != 0;
    for (size_t i = 0; i < act->change_count && !*out; i++) {
        const eid_ruling *change = &act->changes[i];
        uint64_t power = EID_POWER_NONE;
        if (change->holder->name.len > 0 && change->power < EID_POWER_ADMIN)
            EID_TRY(eid_powers_read(powers, change->holder, &power));
        *out = power >= EID_POWER_ADMIN;
    }
    return EID_OK;
}

/* Whether somebody is there who could use the Admin a delegation allows. When the other database is not held nobody can tell. */
static eid_status has_admin(const eid_powers *powers, const eid_holder *delegation, bool *out)
{
    eid_storage *storage = powers->storage;
    eid_id root;
    eid_tree *tree;
    eid_auth_settings *settings;
    *out = false;
    if (eid_id_parse_slice(eid_slice_of(delegation->name.data + 1, delegation->name.len - 1), &root) != EID_OK)
        return EID_OK;
    if (eid_id_equal(&root, &powers->charter->acts[0]->node.id))
        return EID_OK; /* to itself */
    eid_status status = eid_storage_tree(storage, &root, &tree);
    if (status != EID_OK)
        return status == EID_ERR_DATABASE_NOT_FOUND ? EID_OK : status;
    EID_TRY(eid_settings_current(storage, tree, &settings));
    for (size_t i = 0; i < eid_auth_settings_key_count(settings) && !*out; i++) {
        eid_pubkey key;
        const eid_auth_key *record;
        eid_auth_settings_key_at(settings, i, &key, &record);
        *out = record->status == EID_KEY_ACTIVE && eid_permission_can_admin(record->permission);
    }
    eid_auth_settings_unref(settings);
    return EID_OK;
}

static eid_status find_admin(eid_powers *powers, const eid_act *act, bool *found)
{
    eid_map *holders = powers->charter->holders;
    for (eid_map_entry *e = eid_map_first(holders); e != NULL && !*found; e = eid_map_next(holders, e)) {
        const eid_holder *holder = e->value;
        char kind = holder->name.len > 0 ? (char)holder->name.data[0] : '\0';
        uint64_t power = EID_POWER_NONE;
        if (kind == 'k' || kind == 'd')
            EID_TRY(power_after(powers, act, holder, &power));
        *found = power >= EID_POWER_ADMIN;
        if (*found && kind == 'd')
            EID_TRY(has_admin(powers, holder, found));
    }
    return EID_OK;
}

/* Somebody must be left who can change the settings: a key, or an admin of a database that Admin is delegated to. */
static eid_status check_admin_remains(eid_storage *storage, eid_charter *charter, const eid_act *act)
{
    eid_runs all = {NULL, 0, 0};
    bool weakens = false, found = false;
    if (charter->count > 0)
        EID_TRY(eid_runs_append(&all, 0, (int64_t)charter->count - 1));
    eid_powers powers = {storage, charter, &all, eid_act_stands, NULL, NULL};
    eid_status status = weakens_admin(&powers, act, &weakens);
    if (status == EID_OK && weakens)
        status = find_admin(&powers, act, &found);
    eid_powers_free(&powers);
    eid_runs_free(&all);
    EID_TRY(status);
    if (weakens && !found)
        return eid_fail(EID_ERR_PERMISSION_DENIED,
                        "The change would leave nobody who may change the settings; make another key admin first");
    return EID_OK;
}

static eid_status check_act(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_entry *entry,
                            eid_standing_reason *reason, eid_buf *sentence)
{
    eid_act *act;
    EID_TRY(eid_act_new(storage, charter, entry, INT64_MAX, &act));
    eid_status status = explain_act(storage, tree, charter, act, entry, reason, sentence);
    if (status == EID_OK && *reason == EID_STANDS && act->change_count > 0)
        status = check_admin_remains(storage, charter, act);
    eid_act_free(act);
    return status;
}

eid_status eid_standing_check_commit(eid_storage *storage, eid_tree *tree, const eid_entry *entry)
{
    eid_charter *charter;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    bool settings = eid_entry_subtree(entry, eid_slice_text(EID_SETTINGS)) != NULL;
    if (!settings && all_count(charter) && !entry->sigkey.is_delegation)
        return EID_OK;
    eid_standing_reason reason = EID_STANDS;
    eid_buf sentence;
    eid_buf_init(&sentence, 1024);
    eid_status status = settings ? check_act(storage, tree, charter, entry, &reason, &sentence)
                                 : explain_data(storage, tree, charter, entry, INT64_MAX, &reason, &sentence);
    if (status == EID_OK && reason != EID_STANDS)
        status = eid_fail(EID_ERR_PERMISSION_DENIED, "The commit would not count: %.*s", (int)sentence.len,
                          (const char *)sentence.data);
    eid_buf_free(&sentence);
    return status;
}

/* ---- Settings to build on ---- */

static eid_status gather_standing(eid_storage *storage, const eid_charter *charter, const eid_tree_store *store, eid_heap *heap,
                                  eid_buf *found)
{
    eid_runs covered = {NULL, 0, 0}, scratch = {NULL, 0, 0};
    const eid_runs *closure;
    eid_status status = EID_OK;
    while (heap->count > 0 && status == EID_OK) {
        int64_t n = eid_heap_pop(heap).n;
        eid_act *act = eid_charter_act(charter, n);
        if (act == NULL || eid_runs_have(&covered, act->index))
            continue;
        if (act->status == EID_STANDS) {
            eid_buf_append(found, &n, sizeof n);
            status = eid_acts_closure(charter, &act, 1, &scratch, &closure);
            if (status == EID_OK)
                status = eid_runs_unite(&covered, closure);
        } else {
            status = eid_state_push_parents(storage, store, n, NULL, heap);
        }
    }
    eid_runs_free(&covered);
    eid_runs_free(&scratch);
    return status == EID_OK ? eid_buf_status(found) : status;
}

/* Numbers fell on the way, so they are taken from the end. */
static eid_status read_nodes(eid_storage *storage, const eid_tree_store *store, const eid_buf *found, eid_node **out, size_t *count)
{
    size_t total = found->len / sizeof(int64_t);
    eid_node *nodes = eid_realloc_array(NULL, total + 1, sizeof *nodes);
    eid_status status = nodes == NULL ? eid_fail_memory() : EID_OK;
    for (size_t i = 0; i < total && status == EID_OK; i++) {
        memcpy(&nodes[i].n, found->data + (total - 1 - i) * sizeof(int64_t), sizeof(int64_t));
        status = eid_storage_participation(storage, store, nodes[i].n, &nodes[i].height, NULL, NULL);
        if (status == EID_OK)
            status = eid_storage_id(storage, nodes[i].n, &nodes[i].id);
    }
    if (status != EID_OK) {
        eid_free(nodes);
        return status;
    }
    *out = nodes;
    *count = total;
    return EID_OK;
}

eid_status eid_standing_settings_tips(eid_storage *storage, eid_tree *tree, eid_node **tips, size_t *count)
{
    eid_charter *charter;
    eid_tree_store *store;
    EID_TRY(eid_charter_of(storage, tree, INT64_MAX, &charter));
    EID_TRY(eid_storage_store(storage, tree, eid_slice_text(EID_SETTINGS), &store));
    if (charter->void_count == 0 || store == NULL)
        return EID_OK;
    eid_heap heap = {0};
    eid_buf found;
    eid_node *standing = NULL;
    size_t standing_count = 0;
    eid_buf_init(&found, SIZE_MAX / 2);
    eid_status status = EID_OK;
    for (size_t i = 0; i < *count && status == EID_OK; i++)
        status = eid_heap_push(&heap, (*tips)[i].n, 0);
    if (status == EID_OK)
        status = gather_standing(storage, charter, store, &heap, &found);
    if (status == EID_OK)
        status = read_nodes(storage, store, &found, &standing, &standing_count);
    eid_heap_free(&heap);
    eid_buf_free(&found);
    EID_TRY(status);
    eid_free(*tips);
    *tips = standing;
    *count = standing_count;
    return EID_OK;
}
