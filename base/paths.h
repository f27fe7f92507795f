/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_PATHS_H
#define BASE_PATHS_H

#include <stddef.h>

#include "base/why.h"

/* Where things are when nobody says otherwise, by the XDG Base Directory rules: relative paths in
 * the environment are ignored.  0; -ENAMETOOLONG, or -ENOENT when the environment does not tell;
 * each with a reason. */
int paths_socket(char *ret, size_t size, struct why *why); /* of io.gemmad.Assistant */
int paths_state(char *ret, size_t size, struct why *why);  /* directory of the history */
int paths_models(char *ret, size_t size, struct why *why); /* where gemmactl puts models */

/* A file or folder of the user's configuration, "gemmad.conf" for one. */
int paths_config(char *ret, size_t size, const char *name, struct why *why);

#endif
