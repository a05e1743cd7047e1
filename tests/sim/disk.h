/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in memory, under SQLite: they know what was written and what has reached the disk, so that a process
 * can die and a machine lose its power at any write, and what is found afterwards is what a file system owes:
 * everything that was synced, and of the rest some writes, torn ones among them. */
#ifndef EID_TESTS_SIM_DISK_H
#define EID_TESTS_SIM_DISK_H

#include "support/testutil.h"

#define DISKS 8

/* Makes them the place of all data files that SQLite opens from now on. Once in a process. */
void disk_mount(void);
void disk_unmount(void);
/* All disks are empty, and chance begins anew. */
void disk_format(uint64_t seed);
/* A data file on this disk; lent. */
const char *disk_path(size_t disk);

typedef enum disk_end {
    DISK_KILLED,   /* the process dies: what was written stays */
    DISK_POWER_CUT /* what was not synced may be lost */
} disk_end;

/* What happens from now on to the disk is not kept: disk_thaw brings back what it looked like. */
void disk_freeze(size_t disk, disk_end end);
/* The same before the n-th write or sync from now on; 0 calls that off. */
void disk_freeze_at(size_t disk, disk_end end, uint64_t writes);
/* There is no room: files do not grow. */
void disk_fill(size_t disk, bool full);
bool disk_is_frozen(size_t disk);
void disk_thaw(size_t disk);

#endif
