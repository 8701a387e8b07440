/*
 * A preloaded libc that logs calls on files and makes chosen ones fail.
 *
 * KIETOP_CALLS=FILE   each call appends "NAME PATH" to FILE
 * KIETOP_FAULTS=RULES rules "NAME:SUFFIX:ERRNO:WHEN" joined by ";": calls NAME on a path that ends with
 *                     SUFFIX fail with ERRNO (a number); WHEN is "N" (only the Nth such call) or "N+"
 *                     (the Nth and all later ones)
 * KIETOP_FAULTS_WHILE=FILE rules apply only while FILE exists
 * KIETOP_NO_LOCKS=ERRNO every record lock fails with ERRNO, by a system-call filter: that includes calls
 *                     that bypass libc
 *
 * Linux and glibc only. The 64-bit variants share the plain name: pwrite64 is logged as "pwrite".
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_RULES 16

struct rule {
    char name[16];
    char suffix[256];
    int error;
    int first;
    int and_later;
    int seen;
};

static struct rule rules[MAX_RULES];
static int rule_count;
static int log_file = -1;
static const char *condition;

/* Makes fcntl fail for F_GETLK, F_SETLK and F_SETLKW, which have consecutive numbers. */
static void refuse_locks(int error) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_fcntl, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, F_GETLK, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, F_SETLKW, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter))
        abort();
}

__attribute__((constructor)) static void parse_environment(void) {
    const char *no_locks = getenv("KIETOP_NO_LOCKS");
    if (no_locks)
        refuse_locks(atoi(no_locks));
    const char *log_path = getenv("KIETOP_CALLS");
    const char *text = getenv("KIETOP_FAULTS");
    if (log_path)
        log_file = (int)syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    condition = getenv("KIETOP_FAULTS_WHILE");
    while (text && *text && rule_count < MAX_RULES) {
        struct rule *rule = &rules[rule_count];
        char later = 0;
        if (sscanf(text, "%15[^:]:%255[^:]:%d:%d%c", rule->name, rule->suffix, &rule->error, &rule->first, &later) < 4)
            abort();
        rule->and_later = later == '+';
        rule_count++;
        text = strchr(text, ';');
        if (text)
            text++;
    }
}

static int ends_with(const char *path, const char *suffix) {
    size_t length = strlen(path), end = strlen(suffix);
    return length >= end && !strcmp(path + length - end, suffix);
}

/* Logs a call; returns the error it is to fail with, or 0. */
static int check_path(const char *name, const char *path) {
    if (log_file >= 0) {
        char line[4200];
        int length = snprintf(line, sizeof line, "%s %s\n", name, path);
        syscall(SYS_write, log_file, line, (size_t)length);
    }
    for (int i = 0; i < rule_count; i++) {
        struct rule *rule = &rules[i];
        if (strcmp(rule->name, name) || !ends_with(path, rule->suffix))
            continue;
        if (condition && syscall(SYS_faccessat, AT_FDCWD, condition, F_OK))
            continue;
        int number = __sync_add_and_fetch(&rule->seen, 1);
        if (number == rule->first || (rule->and_later && number > rule->first))
            return rule->error;
    }
    return 0;
}

static int check(const char *name, int file) {
    char link[64], path[4096];
    if (file < 0 || file == log_file || (log_file < 0 && !rule_count))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    /* The standard streams by their number, since their targets differ. */
    if (file <= 2)
        snprintf(path, sizeof path, "fd%d", file);
    return check_path(name, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL_IF(error, result) \
    do { \
        int failure = (error); \
        if (failure) { \
            errno = failure; \
            return result; \
        } \
    } while (0)

ssize_t write(int file, const void *bytes, size_t count) {
    FAIL_IF(check("write", file), -1);
    return syscall(SYS_write, file, bytes, count);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    FAIL_IF(check("write", file), -1);
    return REAL(writev)(file, parts, count);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    FAIL_IF(check("pwrite", file), -1);
    return REAL(pwrite64)(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    FAIL_IF(check("pwrite", file), -1);
    return REAL(pwrite)(file, bytes, count, at);
}

ssize_t read(int file, void *bytes, size_t count) {
    FAIL_IF(check("read", file), -1);
    return syscall(SYS_read, file, bytes, count);
}

ssize_t pread64(int file, void *bytes, size_t count, off64_t at) {
    FAIL_IF(check("pread", file), -1);
    return REAL(pread64)(file, bytes, count, at);
}

ssize_t pread(int file, void *bytes, size_t count, off_t at) {
    FAIL_IF(check("pread", file), -1);
    return REAL(pread)(file, bytes, count, at);
}

int fsync(int file) {
    FAIL_IF(check("fsync", file), -1);
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    FAIL_IF(check("fdatasync", file), -1);
    return REAL(fdatasync)(file);
}

int ftruncate64(int file, off64_t length) {
    FAIL_IF(check("ftruncate", file), -1);
    return REAL(ftruncate64)(file, length);
}

/* Logged by its target, the name that changes. */
int rename(const char *from, const char *to) {
    FAIL_IF(check_path("rename", to), -1);
    return REAL(rename)(from, to);
}

void *mmap64(void *address, size_t length, int access, int flags, int file, off64_t at) {
    FAIL_IF(check("mmap", file), MAP_FAILED);
    return (void *)syscall(SYS_mmap, address, length, access, flags, file, at);
}

void *mmap(void *address, size_t length, int access, int flags, int file, off_t at) {
    FAIL_IF(check("mmap", file), MAP_FAILED);
    return (void *)syscall(SYS_mmap, address, length, access, flags, file, at);
}

static int lock_or_other(int file, int command, void *argument) {
    int is_lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
    FAIL_IF(is_lock ? check("lock", file) : 0, -1);
    return (int)syscall(SYS_fcntl, file, command, argument);
}

int fcntl64(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return lock_or_other(file, command, argument);
}

int fcntl(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return lock_or_other(file, command, argument);
}

int flock(int file, int operation) {
    FAIL_IF(check("flock", file), -1);
    return REAL(flock)(file, operation);
}

static int open_checked(const char *path, int flags, mode_t mode) {
    FAIL_IF(check_path(flags & O_ACCMODE ? "open_rw" : "open_ro", path), -1);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (mode_t)va_arg(arguments, int);
    va_end(arguments);
    return open_checked(path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (mode_t)va_arg(arguments, int);
    va_end(arguments);
    return open_checked(path, flags, mode);
}
