/* SPDX-License-Identifier: Apache-2.0 */
/* Positions of list elements: rational numbers with a random tie-break.
 *
 * A new position between two others is the simplest fraction of the open interval: the one with the smallest
 * denominator, and among those the numerator nearest to zero. All fractions of an interval lie below it in
 * the Stern-Brocot tree, so when it does not fit 64 bits no other does. It is found by continued fractions:
 * as long as no whole number lies strictly between the bounds, both have the same whole part; take it off,
 * turn both upside down, and go on. Whole parts taken off are folded into a convergent, so nothing needs a
 * stack.
 */
#include "crdt/crdt_int.h"

#include <string.h>

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

#define UUID_TRIES 32 /* draws of a well-formed UUID before one is made to measure */

static uint64_t magnitude(int64_t number)
{
    return number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
}

eid_status eid_position_make(int64_t numerator, uint64_t denominator, const eid_uuid *unique,
                             eid_position *out)
{
    if (denominator == 0)
        return eid_fail(EID_ERR_RANGE, "a list position has the denominator 0; it must be at least 1");
    uint64_t above = magnitude(numerator), divisor = denominator;
    while (above != 0) {
        uint64_t rest = divisor % above;
        divisor = above;
        above = rest;
    }
    /* In 128 bits because the divisor itself may be 2^63 and more. */
    out->numerator = (int64_t)((int128)numerator / (int128)divisor);
    out->denominator = denominator / divisor;
    out->unique = *unique;
    return EID_OK;
}

static int compare_values(const eid_position *a, const eid_position *b)
{
    int128 left = (int128)a->numerator * (int128)b->denominator;
    int128 right = (int128)b->numerator * (int128)a->denominator;
    return left < right ? -1 : left > right;
}

int eid_position_compare(const eid_position *a, const eid_position *b)
{
    int order = compare_values(a, b);
    return order != 0 ? order : memcmp(a->unique.bytes, b->unique.bytes, sizeof a->unique.bytes);
}

/* The greatest whole number not above the position. */
static int128 whole_part(const eid_position *position)
{
    int128 numerator = position->numerator, denominator = position->denominator;
    int128 quotient = numerator / denominator;
    return numerator % denominator < 0 ? quotient - 1 : quotient;
}

/* The simplest fraction strictly between a/b and c/d, where 0 <= a/b < c/d; d may be 0 for "no upper bound".
 * The result is at most (a+c)/(b+d), so 128 bits hold every step. */
static void simplest_between(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint128 *above, uint128 *below)
{
    uint128 last_above = 0, last_below = 1, now_above = 1, now_below = 0; /* two successive convergents */
    for (;;) {
        uint64_t whole = a / b;
        bool found = ((uint128)whole + 1) * d < c;
        uint128 term = found ? (uint128)whole + 1 : whole;
        uint128 next_above = term * now_above + last_above;
        uint128 next_below = term * now_below + last_below;
        if (found) {
            *above = next_above;
            *below = next_below;
            return;
        }
        last_above = now_above;
        last_below = now_below;
        now_above = next_above;
        now_below = next_below;
        uint64_t rest_left = a - whole * b, rest_right = c - whole * d;
        a = d;
        c = b;
        b = rest_right;
        d = rest_left;
    }
}

/* False when no fraction between the bounds fits 64 bits. The bounds differ. */
static bool fraction_between(const eid_position *left, const eid_position *right, eid_position *out)
{
    int128 numerator;
    uint128 denominator = 1;
    if (left == NULL && right == NULL) {
        numerator = 0;
    } else if (right == NULL) {
        numerator = whole_part(left) + 1;
    } else if (left == NULL) {
        int128 whole = whole_part(right);
        bool exact = whole * (int128)right->denominator == right->numerator;
        numerator = exact ? whole - 1 : whole;
    } else if (left->numerator < 0 && right->numerator > 0) {
        numerator = 0;
    } else {
        /* Below zero the mirror image is solved. */
        bool mirror = left->numerator < 0;
        const eid_position *low = mirror ? right : left, *high = mirror ? left : right;
        uint128 above;
        simplest_between(magnitude(low->numerator), low->denominator, magnitude(high->numerator),
                         high->denominator, &above, &denominator);
        numerator = mirror ? -(int128)above : (int128)above;
    }
    if (numerator < INT64_MIN || numerator > INT64_MAX || denominator > UINT64_MAX)
        return false;
    out->numerator = (int64_t)numerator;
    out->denominator = (uint64_t)denominator;
    return true;
}

eid_status eid_position_between(const eid_position *left, const eid_position *right, const eid_uuid *unique,
                                eid_position *out)
{
    if (left != NULL && right != NULL && compare_values(left, right) >= 0)
        return eid_fail(EID_ERR_INVALID_ARGUMENT,
                        "there is no fraction between two positions whose values are "
                        "equal or in the wrong order");
    eid_position made;
    if (!fraction_between(left, right, &made))
        return eid_fail(EID_ERR_LIMIT, "no fraction of 64 bits lies between the two positions");
    made.unique = *unique;
    *out = made;
    return EID_OK;
}

static uint128 uuid_number(const eid_uuid *uuid)
{
    uint128 number = 0;
    for (size_t i = 0; i < sizeof uuid->bytes; i++)
        number = number << 8 | uuid->bytes[i];
    return number;
}

/* A random UUID strictly between two others; NULL is "no bound". False when there is none. */
static bool uuid_between(const eid_uuid *low, const eid_uuid *high, eid_uuid *out)
{
    uint128 first = 0, last = ~(uint128)0;
    if ((low != NULL && uuid_number(low) == last) || (high != NULL && uuid_number(high) == first))
        return false;
    if (low != NULL)
        first = uuid_number(low) + 1;
    if (high != NULL)
        last = uuid_number(high) - 1;
    if (first > last)
        return false;
    for (int i = 0; i < UUID_TRIES; i++) {
        eid_uuid_new(out);
        uint128 drawn = uuid_number(out);
        if (drawn >= first && drawn <= last)
            return true;
    }
    /* The gap is narrow: its numbers are UUIDs to every reader, though not of version 4. */
    uint128 count = last - first + 1; /* not 0: then the first draw would have been taken */
    uint128 number = first + ((uint128)eid_random_u64() << 64 | eid_random_u64()) % count;
    for (size_t i = sizeof out->bytes; i-- > 0; number >>= 8)
        out->bytes[i] = (uint8_t)number;
    return true;
}

eid_status eid_position_pick(const eid_position *left, const eid_position *right, eid_position *out)
{
    eid_position made;
    bool same = left != NULL && right != NULL && compare_values(left, right) == 0;
    bool found = false;
    if (!same && fraction_between(left, right, &made)) {
        eid_uuid_new(&made.unique);
        found = true;
    }
    if (!found && left != NULL) {
        made = *left;
        found = uuid_between(&left->unique, same ? &right->unique : NULL, &made.unique);
    }
    if (!found && right != NULL && !same) {
        made = *right;
        found = uuid_between(NULL, &right->unique, &made.unique);
    }
    if (!found)
        return eid_fail(EID_ERR_LIMIT,
                        "no list position is left between two elements; insert elsewhere, or set "
                        "the list anew");
    *out = made;
    return EID_OK;
}
