/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IPC_LIMITS_H
#define IPC_LIMITS_H

/* What the daemon takes in calls, and what gemmactl therefore refuses by itself (gemmad-protocol(7)). */
#define LIMIT_TOKENS     32768 /* of an answer */
#define LIMIT_IMAGES     4     /* pictures with one question */
#define LIMIT_TURNS      1000  /* in one page of the history */
#define LIMIT_WORDS      32    /* of a search */
#define LIMIT_WORDS_SIZE 1024  /* ... in bytes */

#endif
