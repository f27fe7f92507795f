/* SPDX-License-Identifier: Apache-2.0 */
#ifndef DESKTOP_TRAY_MENU_H
#define DESKTOP_TRAY_MENU_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>
#include <systemd/sd-bus.h>

/* The menu of the icon, by com.canonical.dbusmenu.  Part of struct tray; main thread. */
#define MENU_PATH     "/io/gemmad/Tray/Menu"
#define MENU_MAX_PAST 8

struct menu {
        bool is_muted, is_there; /* the microphone; gemmad */
        const char *mode;        /* not owned, never NULL */
        char *past[MENU_MAX_PAST]; /* owned, [n_past]; what was said last, newest first */
        unsigned n_past;
        uint32_t revision;

        /* What was chosen: a call of gemmad's.  parameters is taken over. */
        void (*chosen)(const char *method, json_t *parameters, void *userdata);
        void *userdata;
};

/* Puts it on the bus, for as long as that lasts. */
int menu_add(struct menu *m, sd_bus *bus);

/* Something in it has changed; bus may be NULL. */
void menu_changed(struct menu *m, sd_bus *bus);

#endif
