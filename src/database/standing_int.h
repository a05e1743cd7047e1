/* SPDX-License-Identifier: Apache-2.0 */
/* What the settings entries of a database say about rights, and which of them count (docs/security.md, "Revocation").
 *
 * An *act* is an admitted settings entry. What an act does to rights is a list of *changes*: which holder it gives which
 * power. A *holder* is a record that can hold a right: of a key, of the global permission, of a delegation; and the holder
 * named "" stands for everybody, who may write as long as nobody was given a right.
 *
 * What is told here of an act follows from the act and its past, and never changes, except for `status`: that follows from the
 * set of all acts. The charter is made from the settings entries at first use and kept with the tree.
 */
#ifndef EID_DATABASE_STANDING_INT_H
#define EID_DATABASE_STANDING_INT_H

#include "base/map.h"
#include "database/delegation.h"

/* A permission as a number: the larger, the more it allows. */
#define EID_POWER_NONE 0
#define EID_POWER_READ 1
#define EID_POWER_WRITE ((uint64_t)1 << 33)
#define EID_POWER_ADMIN ((uint64_t)1 << 34)
#define EID_POWER_OPEN (EID_POWER_ADMIN - 1) /* everybody's while nobody has a right: weaker than any Admin */

/* Documents above the records. */
#define EID_SWEEPS_KEYS 1u
#define EID_SWEEPS_DELEGATIONS 2u
#define EID_SWEEPS_GLOBAL 4u /* with all others only */
#define EID_SWEEPS_ALL 7u

/* Sets of small numbers: runs in ascending order that neither overlap nor touch. */
typedef struct eid_run {
    int64_t low;
    int64_t high;
} eid_run;

struct eid_runs {
    eid_run *items;
    size_t count;
    size_t capacity;
};

typedef struct eid_act eid_act;

typedef struct eid_ruling {
    eid_act *act;
    struct eid_holder *holder;
    uint64_t power;          /* what the holder has by it, in the knowledge of the act */
    uint64_t kept;           /* what it leaves to those who do not know of it: less when a delegation moves on */
    bool partial;            /* what stands there then depends on what stood there: rights are read from a real fold */
    bool passes;             /* a sweep of other documents: a change of the holder, whose record stays what it was */
    bool repeats;            /* of everybody: the right was taken before, as the act knows */
    eid_id *floor;           /* of a delegation: what it has to be claimed above from then on, … */
    size_t floor_count;
    bool removes;            /* … or nothing: it is no record any more */
    char *label;             /* the name in the record, when that can be read; NULL: none */
    size_t label_len;
} eid_ruling;

typedef struct eid_holder {
    eid_slice name;          /* "k" and the text of a key, "g", "d" and the ID of a tree, or nothing */
    eid_ruling **changes;    /* of all acts, in the order of the fold */
    size_t count;
    size_t capacity;
    bool blurred;            /* a sweep that did not know of it may take its record away: read from a real fold */
    uint64_t stamp;          /* charter->stamp of when it was last met */
    bool ended;              /* some change leaves less than Write */
    eid_act **authored;      /* acts done by it, in order of arrival */
    size_t authored_count;
    size_t authored_capacity;
} eid_holder;

/* Numbers below that of an act of entries that are not in its past. */
typedef struct eid_outside {
    bool found;              /* once asked for */
    bool is_long;            /* it may be forgotten and found again */
    eid_runs runs;
    uint8_t *bits;           /* instead of runs: of `size` numbers from `low` on */
    int64_t low;
    size_t size;
} eid_outside;

/* Where the signature of an act leads. */
typedef struct eid_act_path {
    bool fails;              /* what it claims does not count */
    eid_delegation_claims claims;
} eid_act_path;

struct eid_act {
    eid_node node;           /* number, height in `_settings`, ID */
    int64_t index;           /* among the acts */
    bool is_root;
    bool rules;              /* its payload says something of "auth" */
    unsigned filled;         /* groups it names a record of, … */
    unsigned swept;          /* … documents above the records that it replaces; if any, it changes every holder it knows, and
                                takes the right of every other */
    eid_act_path *path;      /* of one signed by delegation; NULL: of none, or not followed yet */
    bool ends_itself;        /* it takes from its own key the power it uses */
    eid_holder *author;
    uint64_t power;          /* the author's, in the knowledge of the act */
    eid_act *grant;          /* the act that gave it, since when it was not less; NULL: none */
    uint32_t depth;          /* of the chain of grants, and a link that skips most of it */
    eid_act *skip;
    eid_ruling *changes;
    size_t change_count;
    eid_act **named;         /* acts it pins, then those it builds on in `_settings` */
    size_t pin_count;
    size_t named_count;
    eid_runs known;          /* indices of acts in its knowledge, … */
    bool known_is_long;      /* … unless they are many runs: eid_act_known works them out */
    eid_runs closure;        /* those it builds on in `_settings`, itself included, … */
    bool closure_is_long;    /* … in the same way */
    eid_outside outside;
    eid_standing_reason status;
    eid_standing_reason next; /* while all are decided anew */
};

/* Keys that had a label once. */
typedef struct eid_labelled {
    eid_holder **holders;    /* in order of their names */
    size_t count;
    size_t capacity;
} eid_labelled;

struct eid_charter {
    eid_map *holders;        /* name -> eid_holder */
    eid_map *labels;         /* label -> eid_labelled */
    eid_holder *everybody;
    eid_act **acts;          /* in order of arrival */
    size_t count;
    size_t capacity;
    eid_act **sweeping;
    size_t sweeping_count;
    size_t sweeping_capacity;
    bool delegates;          /* some holder is a delegation */
    bool closed;             /* the root gives rights, so that nobody writes unsigned */
    uint64_t stamp;          /* counts passes over holders */
    bool odd;                /* some record may not be what a payload says: labels are looked for in real folds */
    size_t void_count;       /* acts that do not count */
    size_t long_bytes;       /* of what acts have outside their past, where it is long */
    size_t ended_count;      /* holders that some change gives less than Write */
    bool undecided;          /* an act arrived that may change the standing of others */
    eid_buf changed;         /* acts by which entries have to be looked at again */
};

/* ---- standing_charter.c ---- */

void eid_charter_free(eid_charter *charter);
/* The charter of the tree; made when there is none, from its settings entries up to this number and their marks. */
eid_status eid_charter_of(eid_storage *storage, eid_tree *tree, int64_t up_to, eid_charter **out);
/* The same, not kept with the tree. */
eid_status eid_charter_load(eid_storage *storage, eid_tree *tree, int64_t up_to, eid_charter **out);
/* The act with this arrival number, or NULL. */
eid_act *eid_charter_act(const eid_charter *charter, int64_t n);
eid_holder *eid_charter_find(const eid_charter *charter, eid_slice name); /* NULL: nobody ever changed it */

/* The holder of this name, made when there is none. */
eid_status eid_charter_holder(eid_charter *charter, eid_slice name, eid_holder **out);
eid_status eid_holder_key_name(const eid_pubkey *key, eid_buf *name); /* appended */

/* Which of these entries are acts: pointers to them, appended. */
eid_status eid_charter_find_acts(eid_storage *storage, const eid_charter *charter, const eid_id *ids, size_t count, eid_buf *acts);
/* The acts by which an entry is judged: those it pins, else the root. */
eid_status eid_charter_pins(eid_storage *storage, const eid_charter *charter, const eid_entry *entry, eid_buf *acts);

/* Takes the act; unchanged on failure. */
eid_status eid_charter_join(eid_charter *charter, eid_act *act);

/* Which acts are to be looked at; NULL: all of the knowledge. */
typedef bool (*eid_act_filter)(const eid_act *act, const void *ctx);
/* The last of those acts to change the record of the holder; NULL: none did. */
const eid_ruling *eid_holder_latest(const eid_holder *holder, const eid_runs *knowledge, eid_act_filter filter, const void *ctx);
/* The power of a holder after those acts. */
eid_status eid_charter_power(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge,
                             const eid_holder *holder, eid_act_filter filter, const void *ctx, uint64_t *out);
/* The same for many holders, whose powers are asked for one after the other while no status changes: where rights are read from
 * real folds there is one of these, whatever the number of holders. eid_powers_free. */
typedef struct eid_powers {
    eid_storage *storage;
    const eid_charter *charter;
    const eid_runs *knowledge;
    eid_act_filter filter;
    const void *ctx;
    eid_doc *folded; /* once asked for */
} eid_powers;

/* Whether somebody was given something, as far as that shows without a fold, when these documents are replaced afterwards. */
bool eid_powers_closed(const eid_powers *powers, unsigned swept);
eid_status eid_powers_read(eid_powers *powers, const eid_holder *holder, uint64_t *out);
void eid_powers_free(eid_powers *powers);
/* The acts that count; appended to nothing, and the caller's also on failure. */
eid_status eid_charter_counting(const eid_charter *charter, eid_runs *out);
/* The floors a delegation had since it was made, as far as these acts tell: IDs, appended. */
eid_status eid_charter_floors(const eid_charter *charter, const eid_runs *acts, eid_act_filter filter, const void *ctx,
                              const eid_id *delegation, eid_buf *ids);
/* Whose record allows the entry, as its signature names it; the name is appended. Entries were judged before. */
eid_status eid_charter_author(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge,
                              const eid_entry *entry, eid_buf *name);

/* Of the keys that have the label the signature names, the first that may and did sign; *out NULL with the reason in *refusal, its
 * sentence in the last error. Not when charter->odd. */
eid_status eid_charter_signer(const eid_charter *charter, const eid_runs *knowledge, const eid_entry *entry, const eid_holder **out,
                              eid_status *refusal);

/* ---- standing_act.c ---- */

/* An act for this entry, not among the others yet; eid_act_free, or eid_charter_join. */
eid_status eid_act_new(eid_storage *storage, eid_charter *charter, const eid_entry *entry, int64_t n, eid_act **out);
void eid_act_free(eid_act *act);

/* ---- standing_sets.c ---- */

void eid_runs_free(eid_runs *runs);
bool eid_runs_have(const eid_runs *runs, int64_t number);
eid_status eid_runs_append(eid_runs *runs, int64_t low, int64_t high); /* low beyond everything in it, or next to its end */
eid_status eid_runs_unite(eid_runs *runs, const eid_runs *other);

/* The three below lend a set that an act has, or work it out into *scratch: empty or of an earlier call, eid_runs_free it when
 * the set is not needed any more. */

/* Indices of these acts and all they build on. */
eid_status eid_acts_closure(const eid_charter *charter, eid_act *const *acts, size_t count, eid_runs *scratch,
                            const eid_runs **out);
/* The same for acts with these arrival numbers, in any order; numbers of none are passed over. */
eid_status eid_charter_knowledge(const eid_charter *charter, const int64_t *pins, size_t count, eid_runs *scratch,
                                 const eid_runs **out);
eid_status eid_act_known(const eid_charter *charter, const eid_act *act, eid_runs *scratch, const eid_runs **out);
/* For a new act, whose `named` is filled. */
eid_status eid_act_keep_sets(const eid_charter *charter, eid_act *act);
/* Whether an entry with this number is in the past of the act. */
eid_status eid_act_has_in_past(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, int64_t n, bool *out);
void eid_act_forget_past(eid_act *act);

/* ---- standing_fold.c: reading rights out of payloads ---- */

/* What a record says, as a power. */
uint64_t eid_power_of_record(eid_slice holder_name, const eid_value *record);
/* The fold of chosen acts, by loading their payloads; eid_doc_free. */
eid_status eid_charter_fold(eid_storage *storage, const eid_charter *charter, const eid_runs *knowledge,
                            eid_act_filter filter, const void *ctx, eid_doc **out);
/* The power of a holder in a document of settings. */
eid_status eid_power_in(const eid_doc *settings, eid_slice holder_name, uint64_t *out);
/* Calls back for each record a payload names. *swept: the documents above the records that it replaces. */
typedef eid_status (*eid_record_callback)(eid_slice holder_name, const eid_value *record, void *ctx);
eid_status eid_records_of(const eid_doc *payload, eid_record_callback callback, void *ctx, unsigned *swept);
unsigned eid_group_of(eid_slice holder_name); /* 0: of everybody */
/* Records are atomic: they replace what was there. Anything else that merges makes the outcome depend on what was there. */
bool eid_record_is_whole(const eid_value *record);

/* ---- standing_rule.c ---- */

/* Whether the first is stronger; a total order. */
bool eid_act_stronger(const eid_act *a, const eid_act *b);
bool eid_act_stands(const eid_act *act, const void *unused); /* an eid_act_filter */

typedef struct eid_standing_verdict {
    eid_standing_reason reason;
    eid_act *cause;           /* of a cut */
    const eid_holder *author; /* NULL: nobody who was ever given anything */
} eid_standing_verdict;

/* Whether the act counts, as far as it depends on those that are stronger, whose status is right. */
eid_status eid_act_judge(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, eid_standing_verdict *out);
/* Decides all acts anew: `next` of each. */
eid_status eid_charter_decide(eid_storage *storage, eid_tree *tree, eid_charter *charter);

/* Of these acts and all they build on, those that count, as far as these tell: it does not depend on what else is held. What
 * admins do by delegation is taken for granted here, or databases that delegate to each other would wait for each other. */
typedef struct eid_standing_acts {
    const eid_runs *indices;
    bool all;                /* every one counts */
    eid_runs scratch;
    eid_runs standing;
} eid_standing_acts;

/* `pins`: arrival numbers. eid_standing_acts_free; valid while no act comes. */
eid_status eid_charter_standing(eid_storage *storage, eid_tree *tree, eid_charter *charter, const int64_t *pins, size_t count,
                                eid_standing_acts *out);
void eid_standing_acts_free(eid_standing_acts *acts);
/* Follows the path of an act signed by delegation; to be called before it is judged. `entry` NULL: it is loaded. */
eid_status eid_act_follow_path(eid_storage *storage, eid_tree *tree, eid_act *act, const eid_entry *entry);
/* Whether the act can be decided without the others being looked at again. */
eid_status eid_act_stands_alone(eid_storage *storage, eid_tree *tree, eid_charter *charter, eid_act *act, bool *out);
/* Whether an entry that is no act counts. */
eid_status eid_data_judge(eid_storage *storage, eid_tree *tree, eid_charter *charter, const eid_entry *entry, int64_t n,
                          eid_standing_verdict *out);

#endif
