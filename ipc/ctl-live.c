/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "ipc/ctl-print.h"
#include "ipc/ctl.h"

#define SMALL_OFFSET 0.005 /* of full scale: what the meter does not tell */
#define BAR_WIDTH 50
#define QUIET_DB  (-72.0)

static enum ctl_exit set_muted(const struct ctl *c, bool muted) {
        struct varlink_reply reply;
        enum ctl_exit e;

        e = ctl_call(c, "io.gemmad.Assistant.Mute", json_pack("{s:b}", "muted", (int) muted),
                     &reply);
        if (e != CTL_EXIT_OK)
                return e;
        if (c->as_json)
                print_json(c, reply.parameters);
        else
                (void) puts(muted ? "muted" : "not muted");
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_mute(const struct ctl *c) {
        return set_muted(c, true);
}

static enum ctl_exit set_mode(const struct ctl *c, const char *mode) {
        struct varlink_reply reply;
        enum ctl_exit e;

        if (strcmp(mode, "push") != 0 && strcmp(mode, "open") != 0 && strcmp(mode, "wake") != 0) {
                print_error("mode: '%s' is not push, open or wake", mode);
                return CTL_EXIT_USAGE;
        }
        e = ctl_call(c, "io.gemmad.Assistant.SetMode", json_pack("{s:s}", "mode", mode), &reply);
        if (e != CTL_EXIT_OK)
                return e;
        if (c->as_json)
                print_json(c, reply.parameters);
        else
                (void) puts(mode);
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_mode(const struct ctl *c) {
        struct varlink_reply reply;
        json_t *status;
        enum ctl_exit e;

        if (c->n_arguments > 0)
                return set_mode(c, c->arguments[0]);
        e = ctl_call(c, "io.gemmad.Assistant.Status", NULL, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        if (c->as_json) {
                status = json_pack("{s:O*}", "mode", json_object_get(reply.parameters, "mode"));
                print_json(c, status);
                json_decref(status);
        } else {
                print_text(stdout, c->to_terminal, field_string(reply.parameters, "mode"));
                (void) putchar('\n');
        }
        varlink_reply_done(&reply);
        return CTL_EXIT_OK;
}

enum ctl_exit ctl_unmute(const struct ctl *c) {
        return set_muted(c, false);
}

static void show_device(const struct ctl *c, json_t *device) {
        (void) fputs(json_is_true(json_object_get(device, "default")) ? "* " : "  ", stdout);
        print_text(stdout, c->to_terminal, field_string(device, "name"));
        (void) printf("  %" JSON_INTEGER_FORMAT " Hz", field_int(device, "rate"));
        if (json_is_true(json_object_get(device, "bluetooth")))
                (void) fputs("  Bluetooth: used only by its name", stdout);
        (void) putchar('\n');
}

enum ctl_exit ctl_devices(const struct ctl *c) {
        struct varlink_reply reply;
        json_t *devices, *device;
        enum ctl_exit e;
        size_t i;

        e = ctl_call(c, "io.gemmad.Assistant.Devices", NULL, &reply);
        if (e != CTL_EXIT_OK)
                return e;
        devices = json_object_get(reply.parameters, "devices");
        json_array_foreach(devices, i, device) {
                if (c->as_json)
                        print_json(c, device);
                else
                        show_device(c, device);
        }
        if (json_array_size(devices) == 0) {
                print_error("no microphone; see gemmactl doctor");
                e = CTL_EXIT_FAILED;
        }
        varlink_reply_done(&reply);
        return e;
}

static int column(double db) {
        int n = (int) ((db - QUIET_DB) / -QUIET_DB * BAR_WIDTH);

        return n < 0 ? 0 : n > BAR_WIDTH ? BAR_WIDTH : n;
}

/* #### is the level, | its peak, : the noise of the room. */
static void show_level(const struct ctl *c, json_t *level) {
        const char *state = field_string(level, "microphone");
        double rms = field_number(level, "rms"), peak = field_number(level, "peak");
        double noise = field_number(level, "noise"), offset = field_number(level, "offset");
        char bar[BAR_WIDTH + 2];

        for (int i = 0; i <= BAR_WIDTH; i++)
                bar[i] = i < column(rms) ? '#' : ' ';
        bar[BAR_WIDTH + 1] = 0;
        if (noise > QUIET_DB)
                bar[column(noise)] = ':';
        if (peak > QUIET_DB)
                bar[column(peak)] = '|';

        if (c->to_terminal)
                (void) fputs("\r", stdout);
        (void) printf("[%s] %6.1f dB  ", bar, rms);
        print_text(stdout, c->to_terminal, state);
        (void) printf("%-10s", json_is_true(json_object_get(level, "speaking")) ? ", speech" : "");
        if (fabs(offset) > SMALL_OFFSET)
                (void) printf("offset %+.1f %%", 100 * offset);
        if (!c->to_terminal)
                (void) putchar('\n');
        (void) fflush(stdout);
}

enum ctl_exit ctl_meter(const struct ctl *c) {
        return ctl_follow(c, "io.gemmad.Assistant.Level", show_level);
}
