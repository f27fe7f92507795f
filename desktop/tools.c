/* SPDX-License-Identifier: Apache-2.0 */
#include "desktop/tools.h"

#include <string.h>

#include "desktop/volume.h"

#define PERCENT   "\"percent\":{\"type\":\"number\",\"minimum\":0,\"maximum\":100}"
#define DIRECTION "\"direction\":{\"type\":\"string\",\"enum\":[\"up\",\"down\"]}"
#define ON_OFF    "\"state\":{\"type\":\"string\",\"enum\":[\"on\",\"off\"]}"

/* clang-format off */
static const struct tool tools[] = {
        { .name = "set_volume", .run = volume_set, .group = "sound",
          .example = "set the volume to fifty percent",
          .description = "Sets the volume of the speakers.",
          .parameters = "{" PERCENT "}", .required = "[\"percent\"]" },
        { .name = "change_volume", .run = volume_change, .group = "sound",
          .example = "turn the volume up",
          .description = "Turns the volume up or down, by so many percent or a little.",
          .parameters = "{" DIRECTION "," PERCENT "}", .required = "[\"direction\"]" },
        { .name = "get_volume", .run = volume_get,
          .description = "Tells how loud the speakers are set.", .parameters = "{}" },
        { .name = "mute", .run = volume_mute, .group = "sound", .example = "mute",
          .description = "Mutes the speakers or the microphone, or takes that back.",
          .parameters = "{" ON_OFF ",\"device\":{\"type\":\"string\",\"enum\":[\"microphone\"]}}",
          .required = "[\"state\"]" },
};
/* clang-format on */

#define N_TOOLS (sizeof(tools) / sizeof(tools[0]))

const struct tool *tools_all(size_t *ret_n) {
        *ret_n = N_TOOLS;
        return tools;
}

const struct tool *tools_find(const char *name) {
        for (size_t i = 0; i < N_TOOLS; i++)
                if (strcmp(tools[i].name, name) == 0)
                        return &tools[i];
        return NULL;
}

static json_t *describe(const struct tool *tool) {
        json_t *properties = json_loads(tool->parameters, 0, NULL);
        json_t *required = tool->required ? json_loads(tool->required, 0, NULL) : NULL;

        return json_pack("{s:s, s:s, s:b, s:{s:s, s:o, s:o*}}", "name", tool->name, "description",
                         tool->description, "confirm", tool->question != NULL, "parameters", "type",
                         "object", "properties", properties, "required", required);
}

json_t *tools_describe(void) {
        json_t *all = json_array();

        for (size_t i = 0; i < N_TOOLS; i++)
                if (json_array_append_new(all, describe(&tools[i])) < 0) {
                        json_decref(all);
                        return NULL;
                }
        return all;
}
