/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A PKCS#11 module for tests: SoftHSM behind a door that can be slow, empty, or say other things of the PIN.
 *
 * In: files in the folder SHIM_FOLDER: `flags` (added to those of the token), `slow` (seconds before tokens are listed),
 * `late` (seconds after a key was made), `open` (1: keys are not sensitive, 2: they can be extracted), `removed` (no token is there), `gone` (sessions cannot be opened), `flip` (signatures
 * and MACs have a wrong bit). Out: a line in `log` for each login and each MAC. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef unsigned long number;
struct list {
    unsigned char version[2];
    void *calls[68];
};
struct attribute {
    number type;
    unsigned char *value;
    number length;
};
enum { GET_FUNCTION_LIST = 3, GET_SLOT_LIST = 4, GET_TOKEN_INFO = 6, OPEN_SESSION = 12, LOGIN = 18, SIGN = 43, GENERATE_KEY = 58 };

static struct list real, own;

static FILE *in_folder(const char *name, const char *mode) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("SHIM_FOLDER"), name);
    return fopen(path, mode);
}

static number number_in(const char *name) {
    number value = 0;
    FILE *file = in_folder(name, "r");
    if (file) {
        if (fscanf(file, "%lu", &value) != 1) value = 1;
        fclose(file);
    }
    return value;
}

static void note(const char *line) {
    FILE *file = in_folder("log", "a");
    if (file) {
        fputs(line, file);
        fclose(file);
    }
}

static number get_slot_list(unsigned char present, number *slots, number *count) {
    number (*call)(unsigned char, number *, number *) = real.calls[GET_SLOT_LIST];
    sleep(number_in("slow"));
    if (number_in("removed")) {
        *count = 0;
        return 0;
    }
    return call(present, slots, count);
}

static number get_token_info(number slot, unsigned char *info) {
    number (*call)(number, unsigned char *) = real.calls[GET_TOKEN_INFO];
    number flags, result = call(slot, info);
    if (result == 0) {
        memcpy(&flags, info + 96, sizeof flags);
        flags |= number_in("flags");
        memcpy(info + 96, &flags, sizeof flags);
    }
    return result;
}

static number open_session(number slot, number flags, void *a, void *b, number *session) {
    number (*call)(number, number, void *, void *, number *) = real.calls[OPEN_SESSION];
    return number_in("gone") ? 0xE0 /* CKR_TOKEN_NOT_PRESENT */ : call(slot, flags, a, b, session);
}

static number login(number session, number user, unsigned char *pin, number length) {
    number (*call)(number, number, unsigned char *, number) = real.calls[LOGIN];
    note("login\n");
    return call(session, user, pin, length);
}

static number sign(number session, unsigned char *data, number length, unsigned char *out, number *out_length) {
    number (*call)(number, unsigned char *, number, unsigned char *, number *) = real.calls[SIGN];
    number result = call(session, data, length, out, out_length);
    if (out) note("sign\n");
    if (number_in("flip") && result == 0 && out) out[0] ^= 1;
    return result;
}

static number generate_key(number session, void *mechanism, struct attribute *attributes, number count, number *key) {
    number (*call)(number, void *, void *, number, number *) = real.calls[GENERATE_KEY];
    number result, open = number_in("open");
    for (number i = 0; open && i < count; i++) {
        if (attributes[i].type == 0x103 /* CKA_SENSITIVE */) *attributes[i].value = !(open & 1);
        if (attributes[i].type == 0x162 /* CKA_EXTRACTABLE */) *attributes[i].value = open & 2 ? 1 : 0;
    }
    result = call(session, mechanism, attributes, count, key);
    sleep(number_in("late"));
    return result;
}

number C_GetFunctionList(struct list **out) {
    void *library = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW);
    number (*get)(struct list **) = library ? dlsym(library, "C_GetFunctionList") : NULL;
    struct list *list;
    if (!get || get(&list) != 0) return 5; /* CKR_GENERAL_ERROR */
    own = real = *list;
    own.calls[GET_FUNCTION_LIST] = C_GetFunctionList;
    own.calls[GET_SLOT_LIST] = get_slot_list;
    own.calls[GET_TOKEN_INFO] = get_token_info;
    own.calls[OPEN_SESSION] = open_session;
    own.calls[LOGIN] = login;
    own.calls[SIGN] = sign;
    own.calls[GENERATE_KEY] = generate_key;
    *out = &own;
    return 0;
}
