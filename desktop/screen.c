/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/screen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "desktop/bus-step.h"
#include "desktop/desktop.h"

#define STEP_PERCENT 10

/* A screen that is black can not be made brighter by somebody who sees nothing. */
#define MIN_PERCENT 1

#define LOGIN1  "org.freedesktop.login1"
#define SESSION "/org/freedesktop/login1/session/auto"

struct backlight {
        char name[NAME_MAX + 1];
        unsigned now, max;
        int preference; /* the kernel's: firmware knows best, raw registers least */
};

/* One line of a file, without its end. */
static int read_line(int directory, const char *path, char *ret, size_t size) {
        _cleanup_(closep) int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, ret, size - 1);
        if (n < 0)
                return -errno;
        ret[n] = 0;
        ret[strcspn(ret, "\n")] = 0;
        return 0;
}

static int read_number(int directory, const char *path, unsigned *ret) {
        char text[32];
        int r;

        r = read_line(directory, path, text, sizeof(text));
        return r < 0 ? r : parse_unsigned(text, ret);
}

static int read_backlight(int parent, const char *name, struct backlight *ret) {
        _cleanup_(closep) int directory = openat(parent, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        char type[32] = "";

        if (directory < 0)
                return -errno;
        if (read_number(directory, "brightness", &ret->now) < 0 ||
            read_number(directory, "max_brightness", &ret->max) < 0 || ret->max == 0)
                return -EBADMSG;
        (void) read_line(directory, "type", type, sizeof(type));
        ret->preference = strcmp(type, "firmware") == 0 ? 2 : strcmp(type, "platform") == 0;
        (void) snprintf(ret->name, sizeof(ret->name), "%s", name);
        return 0;
}

/* The best of what the kernel has.  -ENOENT: nothing. */
static int find_backlight(struct backlight *ret) {
        const char *sysfs = getenv("GEMMAD_SYSFS");
        struct backlight found;
        char path[PATH_MAX];
        struct dirent *entry;
        bool is_any = false;
        DIR *listing;

        (void) snprintf(path, sizeof(path), "%s/class/backlight", sysfs ? sysfs : "/sys");
        listing = opendir(path);
        if (!listing)
                return -ENOENT;
        while ((entry = readdir(listing))) {
                if (entry->d_name[0] == '.' ||
                    read_backlight(dirfd(listing), entry->d_name, &found) < 0)
                        continue;
                if (!is_any || found.preference > ret->preference)
                        *ret = found;
                is_any = true;
        }
        (void) closedir(listing);
        return is_any ? 0 : -ENOENT;
}

static void on_set(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        const int *percent = step->data;

        if (reply)
                call_say(step->call, json_pack("{s:i}", "percent", *percent), "Brightness %d percent.",
                         *percent);
        else if (bus_is_missing(error))
                call_fail(step->call, "Only logind can set the brightness, and it is not there.");
        else
                call_fail(step->call, "logind does not set the brightness: %s", error->message);
}

static void set(struct desktop *d, struct call *call, const struct backlight *light, int percent) {
        const struct bus_method method = { buses_system(d->buses), LOGIN1, SESSION,
                                           LOGIN1 ".Session", "SetBrightness", NULL };
        int *kept = malloc(sizeof(*kept));
        uint32_t value;

        if (percent < MIN_PERCENT)
                percent = MIN_PERCENT;
        if (percent > 100)
                percent = 100;
        value = (uint32_t) (((uint64_t) light->max * (unsigned) percent + 50) / 100);
        if (!kept)
                return;
        *kept = percent;
        if (bus_step_call(d, call, &method, kept, on_set, "ssu", "backlight", light->name,
                          value > 0 ? value : 1) < 0)
                call_fail(call, "Only logind can set the brightness, and it is not there.");
}

void screen_set_brightness(struct desktop *d, struct call *call) {
        struct backlight light;
        int percent = 0;

        switch (call_whole(call, "percent", 0, 100, &percent)) {
        case 1:
                break;
        case 0:
                call_fail(call, "How bright?");
                return;
        default:
                return;
        }
        if (find_backlight(&light) < 0)
                call_fail(call, "No screen here has a brightness that can be set.");
        else
                set(d, call, &light, percent);
}

void screen_change_brightness(struct desktop *d, struct call *call) {
        struct backlight light;
        int percent = STEP_PERCENT, now;

        if (call_whole(call, "percent", 0, 100, &percent) < 0)
                return;
        if (!call_is(call, "direction", "up") && !call_is(call, "direction", "down")) {
                call_fail(call, "The brightness goes up or down.");
                return;
        }
        if (find_backlight(&light) < 0) {
                call_fail(call, "No screen here has a brightness that can be set.");
                return;
        }
        now = (int) (((uint64_t) light.now * 100 + light.max / 2) / light.max);
        set(d, call, &light, call_is(call, "direction", "up") ? now + percent : now - percent);
}

static void on_locked(struct bus_step *step, sd_bus_message *reply, const sd_bus_error *error) {
        if (reply)
                call_say(step->call, NULL, "Locking the screen.");
        else if (bus_is_missing(error))
                call_fail(step->call, "Only logind can lock the screen, and it is not there.");
        else
                call_fail(step->call, "logind does not lock the screen: %s", error->message);
}

void screen_lock(struct desktop *d, struct call *call) {
        const struct bus_method method = { buses_system(d->buses), LOGIN1, SESSION,
                                           LOGIN1 ".Session", "Lock", NULL };

        if (bus_step_call(d, call, &method, NULL, on_locked, NULL) < 0)
                call_fail(call, "Only logind can lock the screen, and it is not there.");
}
