/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DAEMON_TURN_BY_NAME_H
#define DAEMON_TURN_BY_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/turn/toolbox.h"

/* A tool that was typed by its name, as people write one: "run backup", "Water the plants, please" for
 * water_the_plants.  The pocket model has sentences for the tools that ship only.  Only what needs no
 * argument; whether it asks before is for who provides it.  except: a provider whose tools are not meant, or
 * NULL.  False: there is none, and nothing is written. */
#define BY_NAME_SIZE 72
bool by_name_find(const struct toolbox *t,
                  const char *text,
                  size_t size,
                  const char *except,
                  char out[BY_NAME_SIZE]);

#endif
